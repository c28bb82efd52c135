// SPDX-License-Identifier: Apache-2.0

//go:build linux && gc && go1.22

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"nsenter-cpp.example/internal/testutil"
	"nsenter-cpp.example/nsenter/within"
)

// The commands are this test itself, started with this variable.
const envCommand = "WITHIN_TEST_COMMAND"

func TestMain(m *testing.M) {
	within.Init()
	if os.Getenv(envCommand) != "" {
		os.Unsetenv(envCommand)
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// result is what a command comes to.
type result struct {
	stdout, stderr string
	status         int
	signal         syscall.Signal
}

const short = 20 * time.Second

// start starts a command in a folder; "within" is this program.
func start(t *testing.T, folder string, user uint32, arguments ...string) result {
	t.Helper()
	name := arguments[0]
	env := append(os.Environ(), "FROM=caller")
	if name == "within" {
		name, env = "/proc/self/exe", append(env, envCommand+"=1")
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(testutil.Deadline(t, short), name, arguments[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = folder, env, &stdout, &stderr
	if user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	r := result{stdout: stdout.String(), stderr: stderr.String(), status: status.ExitStatus()}
	if status.Signaled() {
		r.signal = status.Signal()
	}
	return r
}

// look says where a program is, and what it may do.
const look = `readlink /proc/self/ns/* /proc/self/cwd; stat -c '%d:%i' / .; hostname; umask; echo "$FROM$TARGET" $0 "$@"
grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Cpus_allowed_list)' /proc/self/status; cat /proc/self/cgroup
exit 3`

// target is a process in other namespaces, of which a user namespace is one if kinds says so.
func target(t *testing.T, kinds within.Namespaces) int {
	t.Helper()
	testutil.RequireRoot(t)
	testutil.RequireAllNamespaces(t)
	for _, tool := range []string{"nsenter", "unshare", "setpriv"} {
		_, err := exec.LookPath(tool)
		testutil.Require(t, err == nil, tool+"(1)")
	}
	script := "cd /usr\nTARGET=target\nexport TARGET\n"
	if kinds.Has(within.Mount) {
		script += "mount --make-rprivate /\nmount -t tmpfs none /mnt\nmkdir /mnt/there\n"
	}
	if kinds.Has(within.Mount | within.PID) {
		script += "mount -t proc proc /proc\n"
	}
	if kinds.Has(within.UTS) {
		script += "hostname up-there\n"
	}
	return testutil.Fixture(t, uintptr(kinds), script)
}

// same runs a command line with the real command and with ours, and demands the same of both.
func same(t *testing.T, folder string, user uint32, real, ours []string, rest ...string) {
	t.Helper()
	want := start(t, folder, user, append(real, rest...)...)
	got := start(t, folder, user, append(ours, rest...)...)
	if got.stdout != want.stdout || got.status != want.status || got.signal != want.signal {
		t.Errorf("%v:\n%+v\n%v:\n%+v", real, want, ours, got)
	}
	if (got.stderr == "") != (want.stderr == "") {
		t.Errorf("%v says %q, %v says %q", real, want.stderr, ours, got.stderr)
	}
}

// TestLikeNsenter runs command lines with nsenter(1) and with this command.
func TestLikeNsenter(t *testing.T) {
	all := within.Mount | within.UTS | within.IPC | within.Net | within.PID | within.Cgroup | within.Time
	plain, withUser := target(t, all), target(t, all|within.User)
	helpText := start(t, "/", 0, "nsenter", "--help").stdout
	sleeping := fmt.Sprint(plain)
	inUser := fmt.Sprint(withUser)
	uts := "/proc/" + sleeping + "/ns/uts"
	for _, line := range []string{
		"-t P -u", "-t P -m", "-t P -n", "-t P -i", "-t P -p", "-t P -C", "-t P -T", "-t P -a",
		"-t P -m -u -i -n -p", "-tP -munip", "--target P --mount --uts --net", "--target=P --mou --ut",
		"-u" + uts, "--uts=" + uts, "-t P -m --uts=" + uts, "",
		"-t P -u -S 1000", "-t P -u -G 1001", "-t P -u -S 1000 -G 1001", "-t P -a --setuid=7 --setgid=8",
		"-t P -u --preserve-credentials", "-t P -m -r", "-t P -m -w", "-t P -m -r -w", "-t P -u -w/tmp", "-t P -u --wd=/tmp",
		"-t P -u -r/", "-t P -m -W /mnt/there", "-t P -m --wdns=/tmp",
		"-t U -U", "-t U -U -n", "-t U -a", "-t U -a -S 1000", "-t U -a -G 1001", "-t U -a -S 1000 -G 1001",
		"-t U -U -m -r -w", "-t U -a -W /tmp",
		"-t U -a -e", "-t P -u -e", "-t P -u -F", "-t P -u --keep-caps", "-t U -U --keep-caps", "-t U -a --user-parent",
		"-t P -a -c",
	} {
		if newer := lacking(line, helpText); newer != "" {
			t.Logf("%s: this nsenter(1) has no %s, TestNewerOptions tests it", line, newer)
			continue
		}
		t.Run(line, func(t *testing.T) {
			line := strings.NewReplacer("P", sleeping, "U ", inUser+" ").Replace(strings.ReplaceAll(line, "-U", "--user"))
			options := strings.Fields(line)
			rest := []string{"sh", "-c", look, "name", "a", "b c"}
			same(t, t.TempDir(), 0, append([]string{"nsenter"}, options...), append([]string{"within"}, options...), rest...)
		})
	}
}

// lacking is an option at the end of a line that nsenter(1) has from 2.39 on, if this one's help does not have it.
func lacking(line, helpText string) string {
	for option, name := range map[string]string{"-e": "--env", "--keep-caps": "--keep-caps", "-c": "--join-cgroup",
		"--user-parent": "--user-parent"} {
		if strings.HasSuffix(line, option) && !strings.Contains(helpText, name) {
			return name
		}
	}
	return ""
}

// TestNewerOptions tests what nsenter(1) has from 2.39 on, also where that is older.
func TestNewerOptions(t *testing.T) {
	pid := target(t, within.User|within.UTS|within.Net)
	user := testutil.NamespaceOf(t, pid, within.User)
	cgroup := fmt.Sprintf("/proc/%d/cgroup", pid)
	folder := ownCgroup(t, pid)
	theirs, err := os.ReadFile(cgroup)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ options, script, want string }{
		{"-u -U -e", `echo "$FROM$TARGET"`, "target\n"},
		{"-u -U", `echo "$FROM$TARGET"`, "caller\n"},
		{"-U -S 1000 -G 1000 --keep-caps", "grep -c 'Cap[PEA].*ffff' /proc/self/status; id -u", "3\n1000\n"},
		{"-U -S 1000 -G 1000", "grep -c 'Cap[PEA].*ffff' /proc/self/status; id -u", "0\n1000\n"},
		{"-n --user-parent", "readlink /proc/self/ns/user", user + "\n"},
		{"-U --user-parent", "readlink /proc/self/ns/user", testutil.NamespaceOf(t, os.Getpid(), within.User) + "\n"},
		{"-U -S follow -G follow", "id -u; id -G", "0\n0\n"},
		{"-c", "cat /proc/self/cgroup", string(theirs)},
	} {
		line := append(append([]string{"within", "-t", fmt.Sprint(pid)}, strings.Fields(c.options)...), "sh", "-c", c.script)
		if r := start(t, "/", 0, line...); r.stdout != c.want || r.status > 1 {
			t.Errorf("%s: %+v; want %q", c.options, r, c.want)
		}
	}
	if !bytes.Contains(theirs, []byte(filepath.Base(folder))) {
		t.Errorf("the target is not in %s:\n%s", folder, theirs)
	}
}

// ownCgroup puts a process into a cgroup of its own, in one hierarchy.
func ownCgroup(t *testing.T, pid int) (folder string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, mount := range strings.Split(string(mounts), "\n") {
		f := strings.Fields(mount)
		if len(f) < 3 || f[2] != "cgroup2" {
			continue
		}
		if folder, err = os.MkdirTemp(f[1], "within-test-"); err != nil {
			continue
		}
		t.Cleanup(func() {
			own := filepath.Join(filepath.Dir(folder), "cgroup.procs")
			os.WriteFile(own, []byte(fmt.Sprint(pid)), 0)
			if err := os.Remove(folder); err != nil {
				t.Error(err)
			}
		})
		if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(fmt.Sprint(pid)), 0); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	testutil.Require(t, false, "a file system of version 2 cgroups in which folders can be made")
	return ""
}

// TestEndsLikeNsenter: statuses, signals and errors are the program's, or those of nsenter(1).
func TestEndsLikeNsenter(t *testing.T) {
	pid := fmt.Sprint(target(t, within.UTS|within.PID))
	for name, c := range map[string]struct{ options, rest []string }{
		"status 0":             {[]string{"-t", pid, "-u"}, []string{"true"}},
		"status 255":           {[]string{"-t", pid, "-u"}, []string{"sh", "-c", "exit 255"}},
		"SIGKILL":              {[]string{"-t", pid, "-u"}, []string{"sh", "-c", "kill -KILL $$"}},
		"SIGTERM":              {[]string{"-t", pid, "-p"}, []string{"sh", "-c", "kill -TERM $$"}},
		"SIGQUIT":              {[]string{"-t", pid, "-p"}, []string{"sh", "-c", "kill -QUIT $$"}},
		"SIGSEGV":              {[]string{"-t", pid, "-u"}, []string{"sh", "-c", "kill -SEGV $$"}},
		"SIGUSR1":              {[]string{"-t", pid, "-u"}, []string{"sh", "-c", "kill -USR1 $$"}},
		"no program":           {[]string{"-t", pid, "-u"}, []string{"no-such-program"}},
		"no path":              {[]string{"-t", pid, "-u"}, []string{"/no/such/program"}},
		"no executable":        {[]string{"-t", pid, "-u"}, []string{"/etc/passwd"}},
		"a folder":             {[]string{"-t", pid, "-u"}, []string{"/etc"}},
		"no process":           {[]string{"-t", "999999999", "-u"}, []string{"true"}},
		"no target":            {[]string{"-u"}, []string{"true"}},
		"no file":              {[]string{"--uts=/no/such"}, []string{"true"}},
		"another kind":         {[]string{"--uts=/proc/self/ns/net"}, []string{"true"}},
		"no directory":         {[]string{"-t", pid, "-u", "--wd=/no/such"}, []string{"true"}},
		"no option":            {[]string{"--no-such-option"}, []string{"true"}},
		"half an option":       {[]string{"-t"}, nil},
		"an argument":          {[]string{"--all=x"}, []string{"true"}},
		"several options":      {[]string{"-t", pid, "--u"}, []string{"true"}},
		"options of a program": {[]string{"-t", pid, "-u"}, []string{"echo", "-t", "-n", "--help"}},
		"after two dashes":     {[]string{"-t", pid, "-u", "--"}, []string{"echo", "--", "-m"}},
		"an id":                {[]string{"-t", pid, "-u", "-S", "x"}, []string{"true"}},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "/", 0, append([]string{"nsenter"}, c.options...), append([]string{"within"}, c.options...), c.rest...)
		})
	}
}

// lookNew is look for new namespaces, which have another number each time. NS_mnt and so on are the caller's.
const lookNew = `for n in mnt uts ipc net pid user cgroup time; do
	test "$(readlink /proc/self/ns/$n)" = "$(eval echo \$NS_$n)" || echo $n: new
done
echo pid is $$; cat /proc/self/timens_offsets
grep -c shared: /proc/self/mountinfo; grep -c master: /proc/self/mountinfo
stat -c '%i' / .; readlink /proc/self/cwd; hostname; umask; ls /sys/class/net
grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Cpus_allowed_list)' /proc/self/status; cat /proc/self/cgroup
exit 3`

// TestLikeUnshare runs command lines with unshare(1) and with `within new`.
func TestLikeUnshare(t *testing.T) {
	target(t, within.UTS)
	for _, kind := range within.All.Each() {
		link, err := os.Readlink("/proc/self/ns/" + kind.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NS_"+kind.String(), link)
	}
	for _, line := range []struct {
		options string
		user    uint32
	}{
		{"-u", 0}, {"-m", 0}, {"-i", 0}, {"-n", 0}, {"-C", 0}, {"-pf", 0}, {"-Tf", 0}, {"", 0},
		{"-pf --mount-proc", 0}, {"-pfm --mount-proc=/proc", 0}, {"-muinCpf", 0}, {"--mount --uts --fork --pid", 0},
		{"-u -S 1000", 0}, {"-u -G 1000", 0}, {"-u -S 1000 -G 1001", 0}, {"-u -w /tmp", 0}, {"-m -w /tmp", 0},
		{"-m -R /", 0}, {"-m -R / -w /usr", 0}, {"-Tf --monotonic 1000 --boottime=2000", 0},
		{"-m --propagation shared", 0}, {"-m --propagation=slave", 0}, {"-m --propagation unchanged", 0},
		{"-pf --kill-child", 0}, {"-pf --kill-child=SIGKILL", 0},
		{"-r", 0}, {"-r --keep-caps", 0}, {"-Ur -m", 0}, {"-rmunip -f --mount-proc", 0}, {"-r -w /tmp", 0},
		{"-r", 1000}, {"-r --keep-caps", 1000}, {"-rmunip -f --mount-proc", 1000}, {"-r -m -R /", 1000},
	} {
		t.Run(fmt.Sprint(line.user, " ", line.options), func(t *testing.T) {
			options := append(strings.Fields(line.options), "sh", "-c", lookNew)
			want := start(t, "/var", line.user, append([]string{"unshare"}, options...)...)
			got := start(t, "/var", line.user, append([]string{"within", "new"}, options...)...)
			for _, r := range []*result{&want, &got} {
				if !strings.Contains(r.stdout, "pid: new") {
					r.stdout = pidLine.ReplaceAllString(r.stdout, "")
				}
				// unshare(1) denies setgroups where nothing demands it, and so keeps groups that are nobody's.
				r.stdout = strings.ReplaceAll(r.stdout, "Groups:\t65534 \n", "Groups:\t \n")
			}
			if got.stdout != want.stdout || got.status != want.status || got.signal != want.signal {
				t.Errorf("unshare %s:\n%+v\nwithin new:\n%+v", line.options, want, got)
			}
			if want.status != 3 {
				t.Errorf("unshare %s: %+v", line.options, want)
			}
		})
	}
}

var pidLine = regexp.MustCompile(`(?m)^pid is \d+\n`)

// TestMaps: both orders that unshare(1) has had say the same. (With root's maps, unshare(1) itself runs newuidmap(1).)
func TestMaps(t *testing.T) {
	target(t, within.UTS)
	for _, maps := range [][]string{
		{"--map-users=100000,0,5000", "--map-groups", "200000,0,6000"},
		{"--map-users=0:100000:5000", "--map-groups", "0:200000:6000"},
	} {
		line := append(append([]string{"within", "new"}, maps...), "-S", "7", "-G", "8", "sh", "-c",
			"tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map; id -u; id -G")
		if r := start(t, "/", 0, line...); r.stdout != " 0 100000 5000\n 0 200000 6000\n7\n8\n" {
			t.Errorf("%v: %+v", maps, r)
		}
	}
	for _, wrong := range []string{"0", "0,1", "a:b:c", "0:1:2:3", "-1:0:1"} {
		r := start(t, "/", 0, "within", "new", "--map-users", wrong, "true")
		want := fmt.Sprintf("within: --map-users %q is not INNER:OUTER:COUNT\n", wrong)
		if !strings.HasPrefix(r.stderr, want) {
			t.Errorf("%+v; want %s", r, want)
		}
	}
}

// TestLike: the program has what a process has.
func TestLike(t *testing.T) {
	testutil.RequireRoot(t)
	p := &within.Proc{New: within.UTS | within.Mount | within.PID | within.Net, Dir: "/usr"}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	defer read.Close()
	p.Stdin, p.Env = read, []string{"TARGET=target", "PATH=/usr/bin:/bin"}
	cmd := within.Command(p, "cat")
	const chown, kill = 1 << 0, 1 << 5
	cmd.Attr = &within.Attr{Credential: &syscall.Credential{Uid: 1000, Gid: 1001, Groups: []uint32{4}},
		Capabilities: &within.Capabilities{Bounding: chown | kill}, NoNewPrivs: true,
		Rlimits: []within.Rlimit{{Resource: syscall.RLIMIT_NOFILE, Rlimit: syscall.Rlimit{Cur: 50, Max: 60}}}}
	if err := cmd.Start(testutil.Deadline(t, short)); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer write.Close()
	pid := fmt.Sprint(cmd.Process.Pid)
	r := start(t, "/", 0, "within", "--like", pid, "sh", "-c", look)
	for _, line := range []string{`Uid:\t1000\t1000\t1000\t1000`, `Gid:\t1001\t1001\t1001\t1001`, `Groups:\t4 ?`,
		`CapBnd:\t0+21`, `NoNewPrivs:\t1`, `/usr`, `target sh ?`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(r.stdout) {
			t.Errorf("no line %q in %+v", line, r)
		}
	}
	if r.status != 3 {
		t.Errorf("%+v", r)
	}
	r = start(t, "/", 0, "within", "--like", pid, "-S", "7", "-w/tmp", "sh", "-c", "id -u; id -G; pwd; ulimit -n; "+
		"ulimit -Hn")
	if r.stdout != "7\n1001 4\n/tmp\n50\n60\n" {
		t.Errorf("%+v", r)
	}
	r = start(t, "/", 0, "within", "--like", pid, "-G", "8", "sh", "-c", "id -u; id -G")
	if r.stdout != "1000\n8\n" {
		t.Errorf("%+v", r)
	}
}

// TestLikeOfAUser: who is not root confines programs as those of a sandbox of the same user.
func TestLikeOfAUser(t *testing.T) {
	target(t, within.UTS)
	pid := fmt.Sprint(testutil.UserSandbox(t, "-mn"))
	want, err := os.Readlink("/proc/" + pid + "/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	const script = "id -u; id -G; readlink /proc/self/ns/net"
	r := start(t, "/", 1000, "within", "--like", pid, "sh", "-c", script)
	if r.stdout != "0\n0\n"+want+"\n" {
		t.Errorf("%+v", r)
	}
	r = start(t, "/", 1000, "within", "-t", pid, "-a", "--preserve-credentials", "sh", "-c", script)
	if r.stdout != "0\n0\n"+want+"\n" {
		t.Errorf("%+v", r)
	}
	r = start(t, "/", 0, "within", "-t", pid, "-a", "--preserve-credentials", "true")
	text := "within: --preserve-credentials: id 0 is nobody in the user namespace of process " + pid + " (uid_map)\n"
	if r.stderr != text {
		t.Errorf("%+v; want %s", r, text)
	}
}

// TestAtATerminal: the program has a terminal of its own, which is its controlling terminal.
func TestAtATerminal(t *testing.T) {
	testutil.RequireRoot(t)
	terminal, err := within.OpenTerminal()
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	cmd := exec.CommandContext(testutil.Deadline(t, short), "/proc/self/exe", "new", "-u", "sh", "-c",
		"exec </dev/tty; echo tty $?; read line; echo got $line; exit 7")
	cmd.Env = append(os.Environ(), envCommand+"=1")
	testutil.StartAt(t, terminal.Slave, cmd)
	terminal.Slave.Close()
	terminal.Master.WriteString("hello\n")
	said := make(chan string)
	go func() {
		text, _ := io.ReadAll(terminal.Master) // until EIO
		said <- string(text)
	}()
	cmd.Wait()
	if text := <-said; !strings.Contains(text, "tty 0") || !strings.Contains(text, "got hello") ||
		cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%v: %q", cmd.ProcessState, text)
	}
}

// TestTheProgramIsSignalled and ended with the command.
func TestTheProgramIsSignalled(t *testing.T) {
	testutil.RequireRoot(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGKILL} {
		cmd := exec.CommandContext(testutil.Deadline(t, short), "/proc/self/exe", "new", "-u", "sh", "-c",
			"echo $$; exec sleep 600")
		cmd.Env = append(os.Environ(), envCommand+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var pid int
		if _, err := fmt.Fscanln(out, &pid); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Signal(sig)
		cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig {
			t.Errorf("%v: the command has ended by %v", sig, cmd.ProcessState)
		}
		for ctx := testutil.Deadline(t, short); syscall.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
			if ctx.Err() != nil {
				t.Fatalf("%v: the program lives", sig)
			}
		}
	}
}

// TestLeftOut: an option that is left out says why, and nothing is started.
func TestLeftOut(t *testing.T) {
	for _, c := range []struct {
		line, text string
	}{
		{"-N 3 true", "option --net-socket is left out: a socket's network namespace can be given as --net=FILE"},
		{"-t 1 -p -F true", "--no-fork with a pid namespace is left out"},
		{"new -c true", "option --map-current-user is left out"},
		{"new --setgroups allow true", "option --setgroups is left out"},
		{"new --uts=/tmp/x true", "--uts=/tmp/x is left out"},
		{"new --kill-child=TERM true", "--kill-child with another signal than SIGKILL is left out"},
	} {
		r := start(t, "/", 0, append([]string{"within"}, strings.Fields(c.line)...)...)
		if !strings.HasPrefix(r.stderr, "within: "+c.text) || r.status != statusFailed {
			t.Errorf("%s: %+v; want %s", c.line, r, c.text)
		}
	}
}

// TestManualPage: the page, the completion and the help have each option.
func TestManualPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/man/within.1")
	if err != nil {
		t.Fatal(err)
	}
	completion, err := os.ReadFile("completion.bash")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, match := range regexp.MustCompile(`Fl -([a-z-]+)`).FindAllStringSubmatch(string(page), -1) {
		documented[match[1]] = true
	}
	completes := make(map[string]bool)
	for _, word := range regexp.MustCompile(`--[a-z-]+`).FindAllString(string(completion), -1) {
		completes[word] = true
	}
	for _, options := range [][]option{enterOptions, newOptions} {
		for _, o := range options {
			if !documented[o.long] {
				t.Errorf("the manual page has no --%s", o.long)
			}
			if o.left == "" != completes["--"+o.long] {
				t.Errorf("left out: %q; the completion has --%s: %v", o.left, o.long, completes["--"+o.long])
			}
		}
	}
}
