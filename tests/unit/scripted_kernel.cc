// SPDX-License-Identifier: Apache-2.0

#include "scripted_kernel.h"

#include "machine.h"
#include "sys.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <iomanip>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <sstream>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace nsenter::test {
namespace {

ScriptedKernel* current = nullptr;

struct Constant {
  const char* name;
  long value;
};

constexpr Constant kErrors[] = {
    {"EACCES", EACCES},     {"EAGAIN", EAGAIN}, {"EBADF", EBADF},   {"EBUSY", EBUSY},
    {"ECHILD", ECHILD},     {"EINVAL", EINVAL}, {"EIO", EIO},       {"EMFILE", EMFILE},
    {"ENOENT", ENOENT},     {"ENOMEM", ENOMEM}, {"ENOSPC", ENOSPC}, {"ENOSYS", ENOSYS},
    {"ENOTSOCK", ENOTSOCK}, {"ENOTTY", ENOTTY}, {"EPERM", EPERM},   {"EPIPE", EPIPE},
    {"ESRCH", ESRCH},
};

constexpr Constant kCloneFlags[] = {
    {"CLONE_NEWCGROUP", CLONE_NEWCGROUP},
    {"CLONE_NEWIPC", CLONE_NEWIPC},
    {"CLONE_NEWNS", CLONE_NEWNS},
    {"CLONE_NEWNET", CLONE_NEWNET},
    {"CLONE_NEWPID", CLONE_NEWPID},
    {"CLONE_NEWTIME", CLONE_NEWTIME},
    {"CLONE_NEWUTS", CLONE_NEWUTS},
    {"CLONE_NEWUSER", CLONE_NEWUSER},
    {"CLONE_PARENT", CLONE_PARENT},
    {"CLONE_VM", CLONE_VM},
    {"CLONE_VFORK", CLONE_VFORK},
    {"CLONE_THREAD", CLONE_THREAD},
    {"CLONE_CHILD_SETTID", CLONE_CHILD_SETTID},
    {"CLONE_CHILD_CLEARTID", CLONE_CHILD_CLEARTID},
};

// What clone(2) keeps in the low byte of its flags.
constexpr unsigned long kExitSignal = 0xff;

// Without the access mode.
constexpr Constant kOpenFlags[] = {
    {"O_PATH", O_PATH},         {"O_DIRECTORY", O_DIRECTORY}, {"O_CLOEXEC", O_CLOEXEC},
    {"O_NONBLOCK", O_NONBLOCK}, {"O_NOCTTY", O_NOCTTY},
};

constexpr Constant kEvents[] = {
    {"POLLOUT", POLLOUT}, {"POLLRDHUP", POLLRDHUP}, {"POLLERR", POLLERR}, {"POLLHUP", POLLHUP}};

constexpr Constant kAnswers[] = {{"O_RDONLY", O_RDONLY},
                                 {"O_WRONLY", O_WRONLY},
                                 {"O_RDWR", O_RDWR},
                                 {"PROC_SUPER_MAGIC", PROC_SUPER_MAGIC},
                                 {"NSFS_MAGIC", NSFS_MAGIC}};

/// `value` as constants joined by "|"; what has no name is added as a number.
template <std::size_t kCount>
std::string NameFlags(const Constant (&constants)[kCount], long value, std::string names = "") {
  for (const Constant& constant : constants) {
    if ((value & constant.value) == 0) continue;
    names += (names.empty() ? "" : "|") + std::string(constant.name);
    value &= ~constant.value;
  }
  if (value != 0) names += (names.empty() ? "" : "|") + std::to_string(value);
  return names.empty() ? "0" : names;
}

std::string NameOpenFlags(int flags) {
  constexpr const char* kAccess[] = {"O_RDONLY", "O_WRONLY", "O_RDWR"};
  const int access = flags & O_ACCMODE;
  return NameFlags(kOpenFlags, flags & ~O_ACCMODE, (flags & O_PATH) != 0 ? "" : kAccess[access]);
}

std::string NameFolder(int fd) { return fd == AT_FDCWD ? "AT_FDCWD" : std::to_string(fd); }

std::string NameSignal(int signal) {
  if (signal == SIGPIPE) return "SIGPIPE";
  if (signal == SIGCHLD) return "SIGCHLD";
  if (signal == SIGHUP) return "SIGHUP";
  return std::to_string(signal);
}

std::string NameCloneArguments(unsigned long flags) {
  const auto signal = static_cast<int>(flags & kExitSignal);
  std::string names = NameFlags(kCloneFlags, static_cast<long>(flags & ~kExitSignal));
  if (signal == 0) return names;
  names = names == "0" ? "" : names + "|";
  return names + NameSignal(signal);
}

std::string NameHandler(const sys::SignalAction& action) {
  if (action.handler == SIG_IGN) return "SIG_IGN";
  if (action.handler == SIG_DFL) return "SIG_DFL";
  return "handler";
}

std::string Quote(std::string_view bytes) {
  std::string quoted = "\"";
  for (const char byte : bytes) {
    if (byte == '\n') {
      quoted += "\\n";
    } else if (byte == '"' || byte == '\\') {
      quoted += {'\\', byte};
    } else if (byte < ' ') {
      char escaped[8];
      (void)std::snprintf(escaped, sizeof(escaped), "\\x%02x",
                          static_cast<unsigned>(static_cast<unsigned char>(byte)));
      quoted += escaped;
    } else {
      quoted += byte;
    }
  }
  return quoted + "\"";
}

/// Takes "<SIZE:NUMBER>" from the start of a text, and returns the bytes that it stands for.
std::string TakeHostNumber(std::string_view& text) {
  std::istringstream words{std::string(text.substr(0, text.find('>')))};
  char bracket = 0;
  char colon = 0;
  std::size_t size = 0;
  std::uint64_t number = 0;
  words >> bracket >> size >> colon >> std::setbase(0) >> number;
  text.remove_prefix(std::min(text.size(), text.find('>') + 1));
  if (!words || size > sizeof(number)) ADD_FAILURE() << "no <SIZE:NUMBER> in a script";
  const std::string bytes(reinterpret_cast<const char*>(&number), sizeof(number));
  if (std::endian::native == std::endian::big) return bytes.substr(sizeof(number) - size);
  return bytes.substr(0, size);
}

/// The reverse.
std::string Unquote(std::string_view quoted) {
  std::string bytes;
  quoted = quoted.substr(1, quoted.size() - 2);
  while (!quoted.empty()) {
    std::size_t taken = 1;
    if (quoted.front() != '\\') {
      bytes += quoted.front();
    } else if (quoted[1] == 'x') {
      bytes += static_cast<char>(std::stoi(std::string(quoted.substr(2, 2)), nullptr, 16));
      taken = 4;
    } else if (quoted[1] == '<') {
      quoted.remove_prefix(1);
      bytes += TakeHostNumber(quoted);
      taken = 0;
    } else {
      bytes += quoted[1] == 'n' ? '\n' : quoted[1];
      taken = 2;
    }
    quoted.remove_prefix(taken);
  }
  return bytes;
}

template <std::size_t kCount>
const Constant* Find(const Constant (&constants)[kCount], std::string_view name) {
  const auto* const found = std::find_if(std::begin(constants), std::end(constants),
                                         [=](const Constant& c) { return c.name == name; });
  return found == std::end(constants) ? nullptr : found;
}

ScriptedKernel::Answer ParseAnswer(const std::string& text) {
  ScriptedKernel::Answer answer;
  answer.is_given = !text.empty();
  if (text.empty()) return answer;
  if (text.front() == '"') {
    answer.bytes = Unquote(text);
    answer.result = static_cast<int>(answer.bytes.size());
  } else if (text.front() == '[') {
    std::istringstream numbers(text.substr(1));
    char comma = ',';
    numbers >> answer.numbers[0] >> comma >> answer.numbers[1];
    if (!numbers || comma != ',') ADD_FAILURE() << "no two numbers in a script: " << text;
  } else if (const Constant* const error = Find(kErrors, text); error != nullptr) {
    answer.result = -static_cast<int>(error->value);
  } else {
    for (const Constant* const constant :
         {Find(kCloneFlags, text), Find(kEvents, text), Find(kAnswers, text)}) {
      if (constant != nullptr) answer.numbers[0] = constant->value;
      if (constant != nullptr) answer.result = static_cast<int>(constant->value);
      if (constant != nullptr) return answer;
    }
    char* end = nullptr;
    answer.numbers[0] = std::strtol(text.c_str(), &end, 0);
    answer.result = static_cast<int>(answer.numbers[0]);
    if (*end != '\0') ADD_FAILURE() << "no answer in a script: " << text;
  }
  return answer;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

ScriptedKernel::ScriptedKernel(std::string_view script) {
  std::istringstream lines{std::string(script)};
  for (std::string line; std::getline(lines, line);) {
    const std::string_view text = Trim(line);
    if (text.empty()) continue;
    if (!TakeMachineLine(text) && !TakeLogLine(text)) AddCall(text);
  }
  current = this;
}

void ScriptedKernel::AddCall(std::string_view line) {
  const std::size_t separator = line.rfind(") = ");
  if (separator == std::string_view::npos) {
    script_.push_back({std::string(line), ""});
  } else {
    script_.push_back(
        {std::string(line.substr(0, separator + 1)), std::string(line.substr(separator + 4))});
  }
}

bool ScriptedKernel::TakeLogLine(std::string_view line) {
  const std::size_t quote = line.find('"');
  if (quote == std::string_view::npos || line.back() != '"') return false;
  const std::string text(line.substr(quote + 1, line.size() - quote - 2));
  std::istringstream words{std::string(line.substr(0, quote))};
  std::string verb;
  std::string fd = "2";
  std::string level = "fatal";
  words >> verb;
  if (verb == "logs") words >> fd >> level;
  if (verb != "says" && verb != "logs") return false;
  std::string bytes = text + "\\n";
  if (verb == "logs") {
    const std::size_t pid = text.find('[') + 1;
    AddCall("getpid() = " + text.substr(pid, text.find(']') - pid));
    bytes = R"({\"level\":\")" + level + R"(\", \"msg\": \"nsexec)" + text + R"(\"}\n)";
  }
  AddCall("poll(" + fd + ", POLLOUT, " + (level == "fatal" ? "300" : "0") + ") = POLLOUT");
  AddCall("write(" + fd + ", \"" + bytes + "\")");
  return true;
}

bool ScriptedKernel::TakeMachineLine(std::string_view line) {
  const struct {
    std::string_view line;
    bool& is_true;
  } lines[] = {
      {"memory is copied", machine_.is_built_to_copy},
      {"there is a sanitizer", machine_.has_sanitizer},
      {"there is a shadow stack", machine_.has_shadow_stack},
      {"the code is being loaded", machine_.is_being_loaded},
      {"libc has restartable sequences", machine_.has_rseq},
  };
  for (const auto& each : lines) {
    if (line != each.line) continue;
    each.is_true = true;
    return true;
  }
  return false;
}

ScriptedKernel::~ScriptedKernel() {
  ExpectNothingLeft();
  current = nullptr;
}

ScriptedKernel::Answer ScriptedKernel::Take(const std::string& call) {
  const std::string expected = script_.empty() ? "the end" : script_.front().call;
  if (call == expected) {
    const Answer answer = ParseAnswer(script_.front().answer);
    script_.pop_front();
    return answer;
  }
  ADD_FAILURE() << "expected " << expected << "\nbut called " << call;
  // Whatever comes now is a consequence.
  script_.clear();
  Answer refused;
  refused.is_given = true;
  refused.result = -ENOSYS;
  return refused;
}

void ScriptedKernel::ExpectNothingLeft() {
  if (!script_.empty()) ADD_FAILURE() << "never called " << script_.front().call;
  script_.clear();
}

namespace {

ScriptedKernel& Kernel() {
  if (current == nullptr) {
    (void)std::fputs("a system call, but the test has no ScriptedKernel\n", stderr);
    std::abort();
  }
  return *current;
}

template <typename... Pieces>
ScriptedKernel::Answer Call(const Pieces&... pieces) {
  std::ostringstream call;
  (call << ... << pieces);
  return Kernel().Take(call.str());
}

/// A call that fills a buffer.
int Fill(const ScriptedKernel::Answer& answer, void* buffer, std::size_t size) {
  EXPECT_LE(answer.bytes.size(), size) << "more than was asked for in a script";
  std::memcpy(buffer, answer.bytes.data(), std::min(size, answer.bytes.size()));
  return answer.result;
}

int FillPair(const ScriptedKernel::Answer& answer, int* ret_pair) {
  for (int i = 0; i < 2; ++i) ret_pair[i] = static_cast<int>(answer.numbers[i]);
  return answer.result;
}

int FillId(const ScriptedKernel::Answer& answer, sys::FileId* ret_id) {
  *ret_id = {static_cast<dev_t>(answer.numbers[0]), static_cast<ino_t>(answer.numbers[1])};
  return answer.result;
}

std::string NamePointer(const void* pointer) {
  if (pointer == nullptr) return "NULL";
  if (pointer == &Kernel().memory().tid) return "tid";
  if (pointer == &Kernel().memory().robust_list) return "robust_list";
  if (pointer == Kernel().memory().rseq_area) return "rseq_area";
  return "a pointer";
}

std::string NameMask(const sys::SignalSet& mask) {
  const auto equals = [&](const sys::SignalSet& other) {
    return std::equal(std::begin(mask.bits), std::end(mask.bits), std::begin(other.bits));
  };
  if (equals(sys::kAllSignals)) return "all";
  if (equals(Kernel().memory().old_mask)) return "before";
  return equals({}) ? "none" : "others";
}

}  // namespace
}  // namespace nsenter::test

namespace nsenter::sys {

// NOLINTBEGIN(google-build-using-namespace): everything below is made of it
using namespace nsenter::test;
// NOLINTEND(google-build-using-namespace)

int Open(int directory, const char* path, int flags) {
  return Call("openat(", NameFolder(directory), ", ", Quote(path), ", ", NameOpenFlags(flags), ")")
      .result;
}

void Close(int fd) { Call("close(", fd, ")"); }

int Read(int fd, void* buffer, std::size_t size) {
  return Fill(Call("read(", fd, ", ", size, ")"), buffer, size);
}

int Write(int fd, const void* data, std::size_t size) {
  const auto answer = Call("write(", fd, ", ", Quote({static_cast<const char*>(data), size}), ")");
  return answer.is_given ? answer.result : static_cast<int>(size);
}

int Peek(int fd, void* buffer, std::size_t size) {
  return Fill(Call("recv(", fd, ", ", size, ", MSG_PEEK)"), buffer, size);
}

int Poll(int fd, short events, int timeout_ms) {
  return Call("poll(", fd, ", ", NameFlags(kEvents, events), ", ", timeout_ms, ")").result;
}

int StatusFlags(int fd) { return Call("fcntl(", fd, ", F_GETFL)").result; }

int DuplicateTo(int from, int to) { return Call("dup3(", from, ", ", to, ")").result; }

int CloseAllFrom(unsigned first) { return Call("close_range(", first, ")").result; }

int Identify(int directory, const char* path, int flags, FileId* ret_id) {
  return FillId(
      Call("fstatat(", NameFolder(directory), ", ", Quote(path), ", ",
           flags == AT_SYMLINK_NOFOLLOW ? "AT_SYMLINK_NOFOLLOW" : std::to_string(flags), ")"),
      ret_id);
}

int IdentifyOpen(int fd, FileId* ret_id) { return FillId(Call("fstat(", fd, ")"), ret_id); }

int FileSystemType(int fd, long* ret_type) {
  const auto answer = Call("fstatfs(", fd, ")");
  *ret_type = answer.numbers[0];
  return answer.result < 0 ? answer.result : 0;
}

int ReadLink(const char* path, char* buffer, std::size_t size) {
  return Fill(Call("readlink(", Quote(path), ")"), buffer, size);
}

int Pipe(int ret_fds[2]) { return FillPair(Call("pipe2(O_CLOEXEC)"), ret_fds); }

int IsTerminal(int fd) { return Call("ioctl(", fd, ", TCGETS)").result; }

int MakeControllingTerminal(int fd) { return Call("ioctl(", fd, ", TIOCSCTTY)").result; }

int Map(std::size_t size, void** ret_address) {
  const int result = Call("mmap(", size, ")").result;
  Kernel().memory().mappings.push_back(std::make_unique<char[]>(size));
  *ret_address = Kernel().memory().mappings.back().get();
  return result;
}

void Unmap(void* address, std::size_t size) {
  Call("munmap(", size, ")");
  auto& mappings = Kernel().memory().mappings;
  EXPECT_EQ(std::erase_if(mappings, [=](const auto& m) { return m.get() == address; }), 1U);
}

int Setns(int fd, int type) {
  return Call("setns(", fd, ", ", NameFlags(kCloneFlags, type), ")").result;
}

int Unshare(int flags) { return Call("unshare(", NameFlags(kCloneFlags, flags), ")").result; }

int NamespaceType(int fd) { return Call("ioctl(", fd, ", NS_GET_NSTYPE)").result; }

int OpenPidfd(pid_t pid) { return Call("pidfd_open(", pid, ")").result; }

int Clone(unsigned long flags, int* child_tid) {
  return Call("clone(", NameCloneArguments(flags), ", ", NamePointer(child_tid), ")").result;
}

int CloneOnStack(unsigned long flags, int (*function)(void*), void* argument, void* /*stack_end*/,
                 int* child_tid) {
  const int result =
      Call("clone(", NameCloneArguments(flags), ", ", NamePointer(child_tid), ", function)").result;
  // On the stack there is. The function does not return: it exits, or leaves by longjmp.
  if (result == 0) function(argument);
  return result;
}

int Execute(const char* path, char* const argv[], char* const environment[]) {
  const auto list = [](char* const* texts) {
    std::string all;
    for (; *texts != nullptr; ++texts) all += (all.empty() ? "" : ", ") + Quote(*texts);
    return "[" + all + "]";
  };
  return Call("execve(", Quote(path), ", ", list(argv), ", ", list(environment), ")").result;
}

int Wait(pid_t pid, int* ret_status) {
  const int result = Call("waitpid(", pid, ")").result;
  if (result < 0) return result;
  *ret_status = result;
  return pid;
}

void Exit(int status) {
  Call("exit(", status, ")");
  Kernel().ExpectNothingLeft();
  (void)std::fflush(nullptr);
  _exit(status);
}

pid_t ProcessId() { return Call("getpid()").result; }
pid_t ParentProcessId() { return Call("getppid()").result; }
pid_t ThreadId() { return Call("gettid()").result; }

int ThreadIdAddress(int** ret_address) {
  *ret_address = &Kernel().memory().tid;
  return Call("prctl(PR_GET_TID_ADDRESS)").result;
}

int SetThreadIdAddress(int* address) {
  return Call("set_tid_address(", NamePointer(address), ")").result;
}

int RobustList(void** ret_head, std::size_t* ret_size) {
  *ret_head = &Kernel().memory().robust_list;
  *ret_size = sizeof(Kernel().memory().robust_list);
  return Call("get_robust_list()").result;
}

int SetRobustList(void* head, std::size_t size) {
  return Call("set_robust_list(", NamePointer(head), ", ", size, ")").result;
}

int RegisterRestartableSequences(void* area, unsigned size, unsigned signature) {
  return Call("rseq(", NamePointer(area), ", ", size, ", 0, ", signature, ")").result;
}

int UnregisterRestartableSequences(void* area, unsigned size, unsigned signature) {
  return Call("rseq(", NamePointer(area), ", ", size, ", RSEQ_FLAG_UNREGISTER, ", signature, ")")
      .result;
}

int SetAlternateStack(const stack_t* stack, stack_t* ret_old) {
  const int result = Call("sigaltstack(", stack == nullptr ? "NULL" : NamePointer(stack->ss_sp),
                          ret_old == nullptr ? ")" : ", old)")
                         .result;
  if (result == 0 && ret_old != nullptr) *ret_old = Kernel().memory().old_stack;
  return result;
}

int ShadowStackStatus() { return Call("prctl(PR_GET_SHADOW_STACK_STATUS)").result; }

int SystemName(utsname* ret_name) {
  const auto answer = Call("uname()");
  if (answer.result < 0) return answer.result;
  const std::string release = answer.is_given ? answer.bytes : "6.1.0-13-amd64";
  (void)std::snprintf(ret_name->release, sizeof(ret_name->release), "%s", release.c_str());
  return 0;
}

int Dumpable() { return Call("prctl(PR_GET_DUMPABLE)").result; }

int SetDumpable(bool dumpable) { return Call("prctl(PR_SET_DUMPABLE, ", dumpable, ")").result; }

int SetName(const char* name) { return Call("prctl(PR_SET_NAME, ", Quote(name), ")").result; }

int NewSession() { return Call("setsid()").result; }

int Affinity(unsigned long* mask, std::size_t size) {
  return Fill(Call("sched_getaffinity()"), mask, size);
}

int SetSignalAction(int signal, const SignalAction& action, SignalAction* ret_old) {
  const int result = Call("sigaction(", NameSignal(signal), ", ", NameHandler(action), ")").result;
  if (result == 0 && ret_old != nullptr) *ret_old = Kernel().memory().old_action;
  return result;
}

int SetSignalMask(const SignalSet& mask, SignalSet* ret_old) {
  const int result = Call("sigprocmask(", NameMask(mask), ")").result;
  if (result == 0 && ret_old != nullptr) *ret_old = Kernel().memory().old_mask;
  return result;
}

int TakeSignal(int signal) { return Call("sigtimedwait(", NameSignal(signal), ")").result; }

uid_t EffectiveUserId() { return static_cast<uid_t>(Call("geteuid()").result); }
gid_t EffectiveGroupId() { return static_cast<gid_t>(Call("getegid()").result); }
int SetAllUserIds(uid_t uid) { return Call("setresuid(", uid, ")").result; }
int SetAllGroupIds(gid_t gid) { return Call("setresgid(", gid, ")").result; }
int DropSupplementaryGroups() { return Call("setgroups(0)").result; }

}  // namespace nsenter::sys

namespace nsenter::machine {

// NOLINTNEXTLINE(google-build-using-namespace): as above
using namespace nsenter::test;

bool IsBuiltToCopyMemory() { return Kernel().machine().is_built_to_copy; }
bool HasSanitizer() { return Kernel().machine().has_sanitizer; }
bool HasShadowStack() { return Kernel().machine().has_shadow_stack; }
bool IsBeingLoaded(int /*thread_id*/) { return Kernel().machine().is_being_loaded; }

int* FindCachedThreadId(int thread_id, void* /*robust_list*/, int* /*tid_address*/) {
  int* const cached = Kernel().memory().cached_id;
  return cached != nullptr && *cached == thread_id ? cached : nullptr;
}

RestartableSequences LibcsRestartableSequences() {
  if (!Kernel().machine().has_rseq) return {};
  return {.area = Kernel().memory().rseq_area, .size = 32, .signature = 7};
}

}  // namespace nsenter::machine
