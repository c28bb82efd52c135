// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package within

import (
	"fmt"
	"math/rand"
	"testing"
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
		if (err == nil) != (wantErr == nil) || err == nil && fmt.Sprintf("%#v", deref(got)) != fmt.Sprintf("%#v", deref(want)) {
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
