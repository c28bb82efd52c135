// SPDX-License-Identifier: Apache-2.0

//go:build go1.22

package bootstrap

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

const (
	messageType  = 62000
	headerSize   = 16
	sizeLimit    = 16 << 20 // what the core takes
	attributeHdr = 4
)

// The types of attributes.
const (
	attrCloneFlags uint16 = 27281 + iota
	attrNamespacePaths
	attrUIDMap
	attrGIDMap
	attrSetgroup
	attrOOMScoreAdj
	attrRootlessEUID
	attrUIDMapPath
	attrGIDMapPath
	attrTimeOffsets
)

// Encode gives the bytes of the message, in the byte order of this machine. Any error is an
// *InvalidError.
func (m *Message) Encode() ([]byte, error) {
	if err := m.checkFields(); err != nil {
		return nil, err
	}
	e := encoder{bytes: make([]byte, headerSize, 256)}
	if m.Create != 0 {
		e.number(attrCloneFlags, uint32(m.Create))
	}
	if len(m.Join) > 0 {
		entries := make([]string, len(m.Join))
		for i, join := range m.Join {
			entries[i] = join.Kind.String() + ":" + join.Path
		}
		e.text(attrNamespacePaths, "NS_PATHS", strings.Join(entries, ","))
	}
	if m.Create.Has(User) {
		e.text(attrUIDMap, "UIDMAP", mapText(m.UIDMap))
		e.text(attrGIDMap, "GIDMAP", mapText(m.GIDMap))
		e.optional(attrUIDMapPath, "UIDMAPPATH", m.UIDMapTool)
		e.optional(attrGIDMapPath, "GIDMAPPATH", m.GIDMapTool)
	}
	if m.DropGroups {
		e.number(attrSetgroup, 1)
	}
	if m.Rootless {
		e.number(attrRootlessEUID, 1)
	}
	if m.OOMScoreAdj != nil {
		e.text(attrOOMScoreAdj, "OOM_SCORE_ADJ", strconv.Itoa(*m.OOMScoreAdj))
	}
	if m.Create.Has(Time) {
		e.optional(attrTimeOffsets, "TIMENSOFFSET", offsetsText(m.TimeOffsets))
	}
	if e.err != nil {
		return nil, e.err
	}
	binary.NativeEndian.PutUint32(e.bytes, uint32(len(e.bytes)))
	binary.NativeEndian.PutUint16(e.bytes[4:], messageType)
	// Encode refuses every message that the core would refuse, since this is what the core does.
	return e.bytes, Check(e.bytes)
}

// encoder appends attributes. The first error stays.
type encoder struct {
	bytes []byte
	err   error
}

func (e *encoder) number(kind uint16, value uint32) {
	e.attribute(kind, binary.NativeEndian.AppendUint32(nil, value))
}

func (e *encoder) optional(kind uint16, name, value string) {
	if value != "" {
		e.text(kind, name, value)
	}
}

func (e *encoder) text(kind uint16, name, value string) {
	const most = math.MaxUint16 - attributeHdr - 1
	if len(value) > most && e.err == nil {
		e.err = invalid("%s is %d bytes long, a message has room for %d", name, len(value), most)
		return
	}
	e.attribute(kind, append([]byte(value), 0))
}

func (e *encoder) attribute(kind uint16, value []byte) {
	e.bytes = binary.NativeEndian.AppendUint16(e.bytes, uint16(attributeHdr+len(value)))
	e.bytes = binary.NativeEndian.AppendUint16(e.bytes, kind)
	e.bytes = append(e.bytes, value...)
	for len(e.bytes)%4 != 0 {
		e.bytes = append(e.bytes, 0)
	}
}
