// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestADecoderThatHasDecodedDecodesTheSame: whatever bytes come, broken ones included, a decoder that has
// kept what it knows of the type makes of them what a new one does.
func TestADecoderThatHasDecodedDecodesTheSame(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	var texts [][]byte
	for _, e := range []everything{
		{},
		{Text: "short", Map: map[string]int{"a": 1}},
		{Bytes: make([]byte, 300), Next: &everything{List: []string{"", "b"}}},
	} {
		text, err := encode("result", "test", e)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	// Another type's definitions, and a value without any.
	other, err := encode("result", "test", struct{ Text, More string }{"x", "y"})
	if err != nil {
		t.Fatal(err)
	}
	texts = append(texts, other, texts[0][lastMessage(texts[0]):])

	var used decoder[everything]
	good, bad := 0, 0
	for n := 0; n < 30000; n++ {
		text := append([]byte(nil), texts[random.Intn(len(texts))]...)
		switch random.Intn(6) {
		case 0:
			text = text[:random.Intn(len(text)+1)]
		case 1:
			text = append(text, text[lastMessage(text):]...)
		case 2, 3:
			for range 1 + random.Intn(2) {
				text[random.Intn(len(text))] ^= byte(1 << random.Intn(8))
			}
		}
		var fresh decoder[everything]
		want, wantErr := fresh.decode(text)
		got, err := used.decode(text)
		if (err == nil) != (wantErr == nil) || err == nil &&
			fmt.Sprintf("%#v", deref(got)) != fmt.Sprintf("%#v", deref(want)) {
			t.Fatalf("%x: a used decoder makes\n%+v (%v) of it, a new one\n%+v (%v)", text, got, err, want, wantErr)
		}
		if err == nil {
			good++
		} else {
			bad++
		}
	}
	if good < 1000 || bad < 1000 {
		t.Errorf("%d were decoded and %d refused: these are no texts to learn from", good, bad)
	}
}

// TestDecodersKeepNoLargeValues: a session would have them until its next large one.
func TestDecodersKeepNoLargeValues(t *testing.T) {
	for size, want := range map[int]bool{1000: true, primedSize + 1: false} {
		text, err := encode("argument", "test", make([]byte, size))
		if err != nil {
			t.Fatal(err)
		}
		// A sync.Pool may lose what it is given, with -race on purpose.
		isKept := false
		for n := 0; n < 100 && !isKept; n++ {
			var d decoder[[]byte]
			if _, err := d.decode(text); err != nil {
				t.Fatal(err)
			}
			p, _ := d.primed.Get().(*primed)
			if isKept = p != nil; isKept && p.text.Size() > 0 {
				t.Errorf("the decoder has %d bytes still", p.text.Size())
			}
		}
		if isKept != want {
			t.Errorf("%d bytes: kept %v, want %v", size, isKept, want)
		}
	}
}

type tree struct{ Left, Right *tree }

type leaves struct {
	List []map[string][2]*leaves
	Text string
}

func TestIsRecursive(t *testing.T) {
	for _, c := range []struct {
		kind reflect.Type
		want bool
	}{
		{reflect.TypeFor[int](), false},
		{reflect.TypeFor[[]everything](), true},
		{reflect.TypeFor[tree](), true},
		{reflect.TypeFor[leaves](), true},
		{reflect.TypeFor[struct{ A, B []view }](), false}, // the same twice is not the same in itself
		{reflect.TypeFor[*time.Time](), false},            // has a way of its own
	} {
		if got := isRecursive(c.kind, make(map[reflect.Type]bool)); got != c.want {
			t.Errorf("%v: %v", c.kind, got)
		}
	}
}

var (
	chain = Register("test.chain", func(_ context.Context, n int) (*leaves, error) {
		return &leaves{Text: strings.Repeat("x", n)}, nil
	})
	deepness = Register("test.deepness", func(context.Context, struct{}) (*tree, error) { return nil, nil })
)

// sender is a child that sends what it wants.
type sender []byte

func (s sender) call(context.Context, string, message) (message, error) { return message{body: s}, nil }

// TestNestingHasALimit: gob follows any nesting, and Go ends a program that takes more than 1 GB of stack for it. A
// value within the limit takes less.
func TestNestingHasALimit(t *testing.T) {
	deepest := branch(recursiveSize - 1000)
	root, err := deepness.Call(context.Background(), sender(deepest), struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	depth := 0
	for ; root != nil; root = root.Left {
		depth++
	}
	if depth < 400_000 {
		t.Errorf("%d bytes are nested %d times: no attack", len(deepest), depth)
	}
	_, err = deepness.Call(context.Background(), sender(branch(recursiveSize+1)), struct{}{})
	if !errors.Is(err, ErrTooLarge) || !strings.HasPrefix(err.Error(), `within: the result of "test.deepness" has `) {
		t.Errorf("what is too large is not refused: %v", err)
	}
}

// branch is a tree of one branch, encoded, of about that many bytes.
func branch(size int) []byte {
	one, err := encode("result", "", &tree{})
	if err != nil {
		panic(err)
	}
	text := one[:lastMessage(one)] // which defines the types
	kind := one[len(text)+1:][:2]
	// For each tree the number of its field in what it lies in, and the end of its fields.
	depth := size / 2
	value := slices.Concat(kind, bytes.Repeat([]byte{1}, depth), make([]byte, depth+1))
	text = append(text, 0xfc) // the length has 4 bytes
	text = binary.BigEndian.AppendUint32(text, uint32(len(value)))
	return append(text, value...)
}

func TestResultOfARecursiveType(t *testing.T) {
	requireUserNamespaces(t)
	nothingLeft(t)
	p := &Proc{New: User}
	if got, err := chain.Call(deadline(t, short), p, 1_000_000); err != nil || len(got.Text) != 1_000_000 {
		t.Errorf("got %v", err)
	}
	if _, err := chain.Call(deadline(t, short), p, 1<<20); !errors.Is(err, ErrTooLarge) ||
		!strings.Contains(err.Error(), `the result of "test.chain" has`) {
		t.Errorf("got %v", err)
	}
}

// deref shows what a pointer points to, and not where that is.
func deref(e everything) []everything {
	list := []everything{e}
	for list[len(list)-1].Next != nil {
		list = append(list, *list[len(list)-1].Next)
	}
	for i := range list {
		list[i].Next = nil
	}
	return list
}
