// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package bootstrap

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
)

// peer is the C++ parser, in a process that lives as long as the test.
type peer struct {
	in  io.Writer
	out io.Reader
}

// startPeer builds the parser from cpp/ and starts it.
func startPeer(t testing.TB) *peer {
	t.Helper()
	return buildPeer(t, "testdata/parser.cc")
}

// buildPeer builds a program with the parser and starts it.
func buildPeer(t testing.TB, sources ...string) *peer {
	t.Helper()
	compiler := os.Getenv("CXX")
	if compiler == "" {
		compiler = "g++"
	}
	if _, err := exec.LookPath(compiler); err != nil {
		testutil.Require(t, false, "a C++ compiler: "+err.Error())
	}
	program := filepath.Join(t.TempDir(), "peer")
	args := []string{"-std=c++20", "-O1", "-o", program, "-I", "../../cpp", "-I", "../../parent"}
	args = append(args, sources...)
	for _, name := range []string{"netlink_message.cc", "id_map.cc", "error.cc", "text.cc"} {
		args = append(args, filepath.Join("../../cpp", name))
	}
	build := exec.Command(compiler, args...)
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build.Args, err, output)
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	in, out := testutil.StartPiped(t, cmd)
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &peer{in, out}
}

// exchange writes a question and reads the answer, before which its size comes.
func (p *peer) exchange(question []byte) ([]byte, error) {
	if _, err := p.in.Write(question); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(p.out, size[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.NativeEndian.Uint32(size[:]))
	_, err := io.ReadFull(p.out, answer)
	return answer, err
}

// ask gives the error's text, or the fields.
func (p *peer) ask(message []byte) (refusal string, fields []string, err error) {
	question := binary.NativeEndian.AppendUint32(nil, uint32(len(message)))
	answer, err := p.exchange(append(question, message...))
	if err != nil {
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

// TestAgreeOnEachBit flips every bit of every vector, and cuts it off behind every byte; but not of those of 60,000
// bytes and more, which are long fills.
func TestAgreeOnEachBit(t *testing.T) {
	p := startPeer(t)
	const patience = 2 * time.Minute
	deadline := time.Now().Add(patience)
	for _, v := range readVectors(t) {
		if len(v.message) == 0 || len(v.message) > 8192 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			if time.Now().After(deadline) {
				t.Fatalf("took longer than %v", patience)
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

// encode gives what the C++ encoder makes of a message, or the error's text.
func (p *peer) encode(m *Message) (refusal string, message []byte, err error) {
	var texts []string
	add := func(field string, value ...any) {
		texts = append(texts, field, strings.TrimSuffix(fmt.Sprintln(value...), "\n"))
	}
	add("create", uint32(m.Create))
	for _, j := range m.Join {
		add("join", uint32(j.Kind), j.Path)
	}
	for name, ranges := range map[string][]IDRange{"uid": m.UIDMap, "gid": m.GIDMap} {
		for _, r := range ranges {
			add(name, r.Inside, r.Outside, r.Count)
		}
	}
	add("uid-tool", m.UIDMapTool)
	add("gid-tool", m.GIDMapTool)
	if m.DropGroups {
		add("drop-groups")
	}
	if m.Rootless {
		add("rootless")
	}
	if m.OOMScoreAdj != nil {
		add("oom", *m.OOMScoreAdj)
	}
	for _, o := range m.TimeOffsets {
		add("offset", string(o.Clock), o.Seconds, o.Nanoseconds)
	}
	question := binary.NativeEndian.AppendUint32(nil, uint32(len(texts)))
	for _, text := range texts {
		question = binary.NativeEndian.AppendUint32(question, uint32(len(text)))
		question = append(question, text...)
	}
	answer, err := p.exchange(question)
	if err != nil {
		return "", nil, err
	}
	if text, found := strings.CutPrefix(string(answer), "error"); found {
		return text, nil, nil
	}
	return "", answer[len("ok"):], nil
}

// TestEncodersAgree: the library for C++ programs makes the same bytes of a message, or refuses it with the
// same words.
func TestEncodersAgree(t *testing.T) {
	p := buildPeer(t, "testdata/encoder.cc", "../../parent/message.cc", "../../parent/core.cc")
	encoded, refused := 0, 0
	compare := func(m *Message) {
		t.Helper()
		refusal, message, err := p.encode(m)
		if err != nil {
			t.Fatalf("the C++ encoder has ended: %v", err)
		}
		want, wantErr := m.Encode()
		if wantErr == nil {
			encoded++
			if refusal != "" || !slices.Equal(message, want) {
				t.Fatalf("%+v\nGo  %x\nC++ %x %s", m, want, message, refusal)
			}
			return
		}
		refused++
		if asCut(wantErr.Error()) != refusal {
			t.Fatalf("%+v\nGo  %v\nC++ %s", m, wantErr, refusal)
		}
	}
	for _, c := range refusedMessages() {
		compare(&c.m)
	}
	for _, v := range readVectors(t) {
		if m, err := Decode(v.message); err == nil {
			compare(m)
		}
	}
	random := rand.New(rand.NewSource(1))
	for range 20000 {
		compare(randomMessage(random))
	}
	if encoded < 1000 || refused < 1000 {
		t.Errorf("%d were encoded and %d refused: not much to compare", encoded, refused)
	}
}

// randomMessage makes messages of which about half are right.
func randomMessage(random *rand.Rand) *Message {
	one := func(of ...string) string { return of[random.Intn(len(of))] }
	seldom := func() bool { return random.Intn(8) == 0 }
	kinds := All.Each()
	m := &Message{DropGroups: random.Intn(2) == 0, Rootless: random.Intn(2) == 0}
	for random.Intn(3) > 0 {
		m.Create |= kinds[random.Intn(len(kinds))]
	}
	if random.Intn(64) == 0 {
		m.Create |= 1 << random.Intn(32)
	}
	for random.Intn(3) == 0 {
		m.Join = append(m.Join, Join{kinds[random.Intn(len(kinds))], one("/a", "/proc/1/ns/net", "b:c", "/\x01\"\\\x7f")})
	}
	if seldom() && len(m.Join) > 0 {
		m.Join[0] = Join{All & Namespaces(random.Uint32()), one("", "/,\t'", "/\x00")}
	}
	ranges := func() []IDRange {
		list := []IDRange{{0, random.Uint32() >> 1, 1 + random.Uint32()>>random.Intn(32)>>1}}
		for random.Intn(3) == 0 {
			list = append(list, IDRange{random.Uint32(), random.Uint32(), random.Uint32() >> random.Intn(32)})
		}
		return list
	}
	m.UIDMap, m.GIDMap = ranges(), ranges()
	if seldom() {
		m.UIDMapTool, m.GIDMapTool = one("/x", "x", "", "/\x00"), one("/y", "y", "", "/\x00")
	}
	if score := random.Intn(2100) - 1050; random.Intn(4) == 0 {
		m.OOMScoreAdj = &score
	}
	for random.Intn(3) == 0 {
		clock := Clock(one("boottime", "monotonic", "boottime", "monotonic", "realtime"))
		m.TimeOffsets = append(m.TimeOffsets, TimeOffset{clock, int64(random.Uint64()), random.Uint32() >> 2})
	}
	return m
}
