// SPDX-License-Identifier: Apache-2.0

package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A machine is what setup sees: a few commands in one folder, which say in a log what they are asked for, next to
// what setup says itself.
type machine struct {
	t *testing.T
	// Folders: of all, of its commands, of the links that setup makes to go.
	dir, bin, links string
	path            string
}

// The commands that are not themselves. DIR is the machine's folder.
var fakes = map[string]string{
	"id":   `echo 0`,
	"dpkg": `echo amd64`,
	"dpkg-query": `shift 3
status=0
for package; do
  if grep -qx "$package" "$DIR/installed"; then printf '%s/installed ' "$package"
  elif grep -qx "$package" "$DIR/removed"; then printf '%s/config-files ' "$package"
  else status=1; fi
done
exit $status`,
	"apt-get": `set -- "${@:3}"
echo "apt-get $*" >>"$DIR/log"
[ "$1" = install ] || exit 0
shift 2
printf '%s\n' "$@" >>"$DIR/installed"
for package; do
  if [ "$package" = golang-go ]; then cp "$DIR/old-go" "$DIR/bin/go"; fi
done`,
}

// A go of a version, which fetches 1.26.0.
const fakeGo = `#!/bin/bash
if [ "$1" = env ]; then echo goVERSION; exit; fi
echo "go $*" >>"$DIR/log"
mkdir -p "$DIR/fetched/bin" "$DIR/fetched/pkg/tool"
sed 's/VERSION_/1.26.0/' "$DIR/any-go" >"$DIR/fetched/bin/go"
cp "$DIR/fetched/bin/go" "$DIR/fetched/bin/gofmt"
printf '{\n\t"Dir": "%s"\n}\n' "$DIR/fetched"
`

// NewMachine has all packages that setup would install, but for some, and no go.
func newMachine(t *testing.T, missing ...string) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{t: t, dir: dir, bin: filepath.Join(dir, "bin"), links: filepath.Join(dir, "links")}
	m.path = m.links + ":" + m.bin
	for _, folder := range []string{m.bin, m.links} {
		if err := os.Mkdir(folder, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range strings.Fields("bash env sed sort head find chmod mktemp cat cp rm mkdir grep ln") {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("LEFT OUT: this needs %s", name)
		}
		if err := os.Symlink(path, filepath.Join(m.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, body := range fakes {
		m.command(filepath.Join(m.bin, name), "#!/bin/bash\n"+body+"\n")
	}
	m.command(filepath.Join(dir, "old-go"), strings.Replace(fakeGo, "VERSION", "1.19.8", 1))
	m.command(filepath.Join(dir, "any-go"), strings.Replace(fakeGo, "VERSION", "VERSION_", 1))

	var installed []string
	for _, name := range allPackages(t) {
		installed = append(installed, name)
		for _, other := range missing {
			if name == other {
				installed = installed[:len(installed)-1]
			}
		}
	}
	m.write("installed", strings.Join(installed, "\n")+"\n")
	m.write("removed", "")
	m.write("log", "")
	return m
}

// AllPackages are the words in the lists of packages in setup.
func allPackages(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("setup")
	if err != nil {
		t.Fatal(err)
	}
	var packages []string
	for _, list := range regexp.MustCompile(`(?ms)^[a-z_]*packages=\((.*?)\)$`).FindAllStringSubmatch(string(text), -1) {
		for _, line := range strings.Split(list[1], "\n") {
			if !strings.HasPrefix(strings.TrimSpace(line), "#") {
				packages = append(packages, strings.Fields(line)...)
			}
		}
	}
	if len(packages) < 30 {
		t.Fatalf("found only these packages in setup: %v", packages)
	}
	return packages
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o666); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) command(path, text string) {
	m.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) haveGo(folder, version string) {
	m.t.Helper()
	m.command(filepath.Join(folder, "go"), strings.Replace(fakeGo, "VERSION", version, 1))
}

// Setup returns what setup and the commands that it ran said, in their order.
func (m *machine) setup(args ...string) (string, error) {
	m.t.Helper()
	m.write("log", "")
	log, err := os.OpenFile(filepath.Join(m.dir, "log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("./setup", args...)
	cmd.Env = []string{"DIR=" + m.dir, "SETUP_GO_LINKS=" + m.links, "PATH=" + m.path}
	cmd.Stdout = log
	cmd.Stderr = log
	failed := cmd.Run()
	text, err := os.ReadFile(log.Name())
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), m.dir, "DIR"), failed
}

func (m *machine) says(want string, args ...string) {
	m.t.Helper()
	got, err := m.setup(args...)
	if err != nil || got != want {
		m.t.Errorf("setup %v: %v, it said\n%s, not\n%s", args, err, got, want)
	}
}

func (m *machine) fails(want string, args ...string) {
	m.t.Helper()
	got, err := m.setup(args...)
	if err == nil || got != want {
		m.t.Errorf("setup %v: %v, it said\n%s, not\n%s", args, err, got, want)
	}
}

func TestSetupTouchesNothingThatIsThere(t *testing.T) {
	for _, version := range []string{"1.25", "1.25.4", "1.26.8", "1.30rc1"} {
		m := newMachine(t)
		m.haveGo(m.bin, version)
		for _, args := range [][]string{nil, {"demo"}, {"check"}, {"platforms"}} {
			m.says("", args...)
		}
		if links, err := os.ReadDir(m.links); err != nil || len(links) > 0 {
			t.Errorf("go %s: links %v (%v)", version, links, err)
		}
	}
}

func TestSetupInstallsWhatIsMissing(t *testing.T) {
	m := newMachine(t, "gdb", "crun", "spin", "debootstrap")
	m.haveGo(m.bin, "1.25.0")
	m.write("removed", "crun\n") // its configuration is there
	m.says("", "demo")
	for _, c := range []struct{ packages, part string }{
		{"gdb crun", ""}, {"spin", "check"}, {"debootstrap", "platforms"},
	} {
		want := "setup: installing " + c.packages + "\napt-get update\n" +
			"apt-get install --no-install-recommends " + c.packages + "\n"
		m.says(want, strings.Fields(c.part)...)
		m.says("", strings.Fields(c.part)...)
	}
}

func TestSetupNeedsRootForPackagesOnly(t *testing.T) {
	m := newMachine(t, "gdb")
	m.haveGo(m.bin, "1.25.0")
	m.command(filepath.Join(m.bin, "id"), "#!/bin/bash\necho 1000\n")
	m.says("", "demo")
	m.fails("setup: these packages are missing, and only root can install them: gdb\n")
	m.command(filepath.Join(m.bin, "sudo"), "#!/bin/bash\necho sudo >>\"$DIR/log\"\n\"$@\"\n")
	m.says("setup: installing gdb\nsudo\napt-get update\nsudo\napt-get install --no-install-recommends gdb\n")
}

const fetching = "setup: fetching Go 1.26.0, and linking go and gofmt to it in DIR/links\n" +
	"go mod download -json golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64\n"

func TestSetupFetchesGo(t *testing.T) {
	m := newMachine(t)
	m.says("setup: installing golang-go\napt-get update\napt-get install --no-install-recommends golang-go\n" + fetching)
	for _, name := range []string{"go", "gofmt"} {
		target, err := os.Readlink(filepath.Join(m.links, name))
		if err != nil || target != filepath.Join(m.dir, "fetched", "bin", name) {
			t.Errorf("%s is a link to %s (%v)", name, target, err)
		}
	}
	m.says("")
}

func TestSetupFetchesGoWithTheOneThatIsThere(t *testing.T) {
	m := newMachine(t)
	m.haveGo(m.bin, "1.24.9")
	m.says(fetching)
	m.says("")
}

func TestSetupSaysWhyGoWasNotFetched(t *testing.T) {
	m := newMachine(t)
	m.command(filepath.Join(m.bin, "go"), `#!/bin/bash
if [ "$1" = env ]; then echo go1.19.8; exit; fi
printf '{\n\t"Path": "p",\n\t"Error": "no such host"\n}\n'
exit 1
`)
	said := strings.SplitAfter(fetching, "\n")[0]
	m.fails(said + "setup: failed to fetch Go 1.26.0: no such host\n")
}

// Whoever has put a go there wants it there.
func TestSetupLeavesGoAlone(t *testing.T) {
	for _, c := range []struct {
		version, want string
		linksFirst    bool
	}{
		{"1.25.0", "setup: DIR/links/go is new enough, but PATH leads to DIR/bin/go; put DIR/links first\n", false},
		{"1.24.9", "setup: DIR/links/go is too old, and no link: remove it, or install Go 1.25 or newer there\n", true},
	} {
		m := newMachine(t)
		m.haveGo(m.bin, "1.19.8")
		m.haveGo(m.links, c.version)
		if !c.linksFirst {
			m.path = m.bin + ":" + m.links
		}
		before, err := os.ReadFile(filepath.Join(m.links, "go"))
		if err != nil {
			t.Fatal(err)
		}
		m.fails(c.want)
		after, err := os.ReadFile(filepath.Join(m.links, "go"))
		if err != nil || string(after) != string(before) {
			t.Errorf("go %s was replaced (%v)", c.version, err)
		}
	}
}

func TestSetupKnowsItsParts(t *testing.T) {
	m := newMachine(t, "gdb")
	m.fails("setup: nothing is known of tests; there are: demo, check and platforms\n", "tests")
}
