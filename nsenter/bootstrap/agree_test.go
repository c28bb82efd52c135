// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package bootstrap

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is the C++ parser, in a process that lives as long as the test.
type peer struct {
	in  io.Writer
	out io.Reader
}

// startPeer builds the parser from cpp/ and starts it.
func startPeer(t testing.TB) *peer {
	t.Helper()
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "g++"
	}
	if _, err := exec.LookPath(compiler); err != nil {
		leaveOut(t, "a C++ compiler: "+err.Error())
	}
	program := filepath.Join(t.TempDir(), "parser")
	args := []string{"-std=c++20", "-O1", "-o", program, "-I", "../../cpp", "testdata/parser.cc"}
	for _, name := range []string{"netlink_message.cc", "id_map.cc"} {
		args = append(args, filepath.Join("../../cpp", name))
	}
	build := exec.Command(compiler, args...)
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build.Args, err, output)
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &peer{in, out}
}

// ask gives the error's text, or the fields.
func (p *peer) ask(message []byte) (refusal string, fields []string, err error) {
	question := binary.NativeEndian.AppendUint32(nil, uint32(len(message)))
	if _, err := p.in.Write(append(question, message...)); err != nil {
		return "", nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(p.out, size[:]); err != nil {
		return "", nil, err
	}
	answer := make([]byte, binary.NativeEndian.Uint32(size[:]))
	if _, err := io.ReadFull(p.out, answer); err != nil {
		return "", nil, err
	}
	parts := strings.Split(strings.TrimSuffix(string(answer), "\x00"), "\x00")
	if parts[0] == "error" {
		return parts[1], nil, nil
	}
	return "", parts[1:], nil
}

// asCut is an error's text as the core says it: in a fixed array of 1,000 bytes.
func asCut(text string) string {
	const room = 1000
	if len(text) > room {
		text = text[:room-3] + "..."
	}
	return text
}

// compare demands the same verdict, the same text and the same fields of both parsers.
func (p *peer) compare(t *testing.T, message []byte) {
	t.Helper()
	refusal, fields, err := p.ask(message)
	if err != nil {
		t.Fatalf("the C++ parser has ended: %v", err)
	}
	w, err := parse(message)
	if err != nil {
		if got := asCut(err.Error()); got != refusal {
			t.Errorf("Go  %q\nC++ %q %q\nfor %x", got, refusal, fields, message)
		}
		return
	}
	if got := w.fields(); refusal != "" || !slices.Equal(got, fields) {
		t.Errorf("Go  %q\nC++ %q %q\nfor %x", got, refusal, fields, message)
	}
	checkRoundTrip(t, message)
}

// withHeader puts a header that fits in front of attributes, so that they are looked at.
func withHeader(attributes []byte) []byte {
	message := make([]byte, headerSize, headerSize+len(attributes))
	binary.NativeEndian.PutUint32(message, uint32(headerSize+len(attributes)))
	binary.NativeEndian.PutUint16(message[4:], messageType)
	return append(message, attributes...)
}

func FuzzAgree(f *testing.F) {
	for _, v := range readVectors(f) {
		if len(v.message) > 0 && len(v.message) < 8192 {
			f.Add(v.message)
		}
	}
	p := startPeer(f)
	var turn sync.Mutex
	f.Fuzz(func(t *testing.T, message []byte) {
		turn.Lock()
		defer turn.Unlock()
		p.compare(t, message)
		if len(message) >= headerSize {
			p.compare(t, withHeader(message[headerSize:]))
		}
	})
}

// TestAgreeOnEachBit flips every bit of every short vector, and cuts it off behind every byte.
func TestAgreeOnEachBit(t *testing.T) {
	p := startPeer(t)
	deadline := time.Now().Add(time.Minute)
	for _, v := range readVectors(t) {
		if len(v.message) == 0 || len(v.message) > 512 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			if time.Now().After(deadline) {
				t.Fatal("took longer than a minute")
			}
			for i := range v.message {
				for bit := range 8 {
					flipped := slices.Clone(v.message)
					flipped[i] ^= 1 << bit
					p.compare(t, flipped)
				}
				p.compare(t, v.message[:i])
				if i >= headerSize {
					p.compare(t, withHeader(v.message[headerSize:i]))
				}
			}
		})
	}
}

// TestAgreeOnWhatIsEncoded: the C++ parser takes what Encode makes, and finds in it what was meant.
func TestAgreeOnWhatIsEncoded(t *testing.T) {
	p := startPeer(t)
	adjustment := -1000
	m := Message{
		Create:      User | Net | Time,
		Join:        []Join{{PID, "/proc/1/ns/pid"}, {Mount, "/run/a:b"}},
		UIDMap:      []IDRange{{0, 100000, 65536}, {65536, 0, 1}},
		GIDMap:      []IDRange{{0, 1, 4294967294}},
		UIDMapTool:  "/usr/bin/newuidmap",
		GIDMapTool:  "/usr/bin/newgidmap",
		DropGroups:  true,
		Rootless:    true,
		OOMScoreAdj: &adjustment,
		TimeOffsets: []TimeOffset{{Boottime, -5, 999999999}, {Monotonic, 7, 0}},
	}
	message, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	refusal, fields, err := p.ask(message)
	if err != nil || refusal != "" {
		t.Fatal(err, refusal)
	}
	want := []string{
		fmt.Sprintf("clone-flags 0x%x", uint32(User|Net|Time)),
		"namespace pid /proc/1/ns/pid", "namespace mnt /run/a:b",
		"uid-map 0 100000 65536\n65536 0 1\n", "gid-map 0 1 4294967294\n",
		"setgroup 1", "oom-score-adj -1000", "rootless-euid 1",
		"uid-map-tool /usr/bin/newuidmap", "gid-map-tool /usr/bin/newgidmap",
		"time-offsets boottime -5 999999999\nmonotonic 7 0\n",
	}
	if !slices.Equal(fields, want) {
		t.Errorf("got  %q\nwant %q", fields, want)
	}
	checkRoundTrip(t, message)
}
