// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo && gc && go1.22

package within

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// SubIDs is what a user can have for Proc.UIDMap and Proc.GIDMap, who is named by name or number; "" is the caller. Ids
// 0 inside are the own ones, and those from 1 on the subordinate ids that /etc/subuid and /etc/subgid give (subid(5)),
// in the order of the lines. Other sources of them, in /etc/nsswitch.conf, are not asked.
//
// The error is ErrNoSubIDs if one of the files has no line of the user's. It names the line if one of the user's is
// wrong, and is a user.UnknownUserError (package os/user) for a name that nobody has.
func SubIDs(user string) (uids, gids []IDRange, err error) {
	return subIDs(user, "/etc/subuid", "/etc/subgid")
}

func subIDs(name, subuid, subgid string) (uids, gids []IDRange, err error) {
	owner, err := ownerOf(name)
	if err != nil {
		return nil, nil, err
	}
	if uids, err = owner.ranges(subuid, owner.uid); err != nil {
		return nil, nil, err
	}
	if gids, err = owner.ranges(subgid, owner.gid); err != nil {
		return nil, nil, err
	}
	return uids, gids, nil
}

// owner is whose subordinate ids are looked for.
type owner struct {
	name     string // "" for a number that has none
	uid, gid uint32
}

func ownerOf(name string) (owner, error) {
	if name == "" {
		o := owner{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
		if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
			o.name = u.Username
		}
		return o, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		byNumber, numberErr := user.LookupId(name)
		if numberErr != nil {
			return owner{}, fmt.Errorf("within: failed to look up the user: %w", err)
		}
		u = byNumber
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return owner{}, fmt.Errorf("within: failed to look up the user %q: uid %q", name, u.Uid)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return owner{}, fmt.Errorf("within: failed to look up the user %q: gid %q", name, u.Gid)
	}
	return owner{u.Username, uint32(uid), uint32(gid)}, nil
}

// ranges is a map of the owner's own id and, from 1 on, of what a file gives. A line that is repeated counts once.
func (o owner) ranges(path string, own uint32) ([]IDRange, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("within: failed to read subordinate ids: %w", err)
	}
	ranges := []IDRange{{Inside: 0, Outside: own, Count: 1}}
	next := uint64(1)
	for i, line := range strings.Split(string(text), "\n") {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if !o.isNamed(fields[0]) {
			continue // of somebody else, whatever it says
		}
		first, count, err := parseSubIDs(fields)
		if err == nil && next+count > math.MaxUint32 {
			err = errors.New("there are more ids than fit")
		}
		if err != nil {
			return nil, fmt.Errorf("within: line %d of %s, %q: %w", i+1, path, line, err)
		}
		isSame := func(r IDRange) bool { return r.Outside == uint32(first) && uint64(r.Count) == count }
		if count == 0 || slices.ContainsFunc(ranges[1:], isSame) {
			continue
		}
		ranges = append(ranges, IDRange{Inside: uint32(next), Outside: uint32(first), Count: uint32(count)})
		next += count
	}
	if len(ranges) == 1 {
		return nil, fmt.Errorf("%w: %s has none of %s", ErrNoSubIDs, path, o)
	}
	return ranges, nil
}

func (o owner) isNamed(field string) bool {
	return field != "" && (field == o.name || field == strconv.FormatUint(uint64(o.uid), 10))
}

func (o owner) String() string {
	if o.name == "" {
		return fmt.Sprintf("uid %d", o.uid)
	}
	return fmt.Sprintf("user %q (uid %d)", o.name, o.uid)
}

func parseSubIDs(fields []string) (first, count uint64, err error) {
	if len(fields) != 3 {
		return 0, 0, fmt.Errorf("%d fields, want user:first:count", len(fields))
	}
	if first, err = strconv.ParseUint(fields[1], 10, 32); err != nil {
		return 0, 0, fmt.Errorf("%q is no id", fields[1])
	}
	if count, err = strconv.ParseUint(fields[2], 10, 32); err != nil {
		return 0, 0, fmt.Errorf("%q is no count", fields[2])
	}
	if first+count > math.MaxUint32 {
		return 0, 0, errors.New("the range leaves the ids there are")
	}
	return first, count, nil
}
