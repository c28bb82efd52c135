// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes what nsexec() makes of its environment: every number against an implementation that has
// nothing in common with the core's, and the decision what to do against one that follows
// docs/protocol.md, on a kernel where all goes well.

#include "environment.h"
#include "model_kernel.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>
#include <utility>

namespace nsenter::fuzz {
namespace {

/// What is to come of a launch.
struct Decision {
  enum class Kind { kNothingAsked, kRefused, kDocument, kClassic, kNetlink } kind;
  std::string text;          // kRefused: what is said,
  int told = STDERR_FILENO;  // where,
  bool levelled = false;     // when the level is known
  bool twice = false;        // and on standard error too
};

/// The value of a variable for which empty is not set.
const char* GetNonEmpty(const Script& script, const char* name) {
  const char* const value = script.Get(name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

/// Nothing, or why a variable is no number. A number is canonical if printing it gives the same.
std::string WhyNoNumber(const std::string& name, const char* value) {
  if (value == nullptr) return name + " is not set";
  const std::string text = value;
  const std::string invalid = "invalid " + name + " \"" + text + "\": ";
  const std::size_t digits = text.find_first_not_of("0123456789");
  const bool leading_zero = text.size() > 1 && text[0] == '0';
  const std::string run = text.substr(0, digits);
  // Read from the left: once what was read is too large, what follows does not matter.
  constexpr const char* kLargest = "2147483647";
  const bool large = !leading_zero && (run.size() > 10 || (run.size() == 10 && run > kLargest));
  if (large) return invalid + "out of range";
  if (run.size() == text.size() && !text.empty() &&
      std::to_string(std::stoull(text.substr(0, 11))) == text) {
    return "";
  }
  return invalid + "not a decimal number";
}

/// The descriptors of the model's parent.
enum class Access { kNone, kRead, kWrite, kBoth };
Access AccessOf(int fd, const Script& script) {
  if (fd >= 0 && fd <= 2)
    return (script.world & (1U << static_cast<unsigned>(fd))) != 0 ? Access::kNone : Access::kBoth;
  if (fd == 3 || fd == 7) return Access::kBoth;
  if (fd == 4) return Access::kWrite;
  return fd == 5 || fd == 6 ? Access::kRead : Access::kNone;
}

std::string WhyNoFd(const std::string& name, const char* value, bool both, const Script& script) {
  const std::string why = WhyNoNumber(name, value);
  if (!why.empty()) return why;
  const Access access = AccessOf(std::stoi(value), script);
  const std::string invalid = "invalid " + name + " \"" + value + "\": ";
  if (access == Access::kNone) return invalid + "Bad file descriptor";
  if (access == Access::kBoth || (access == Access::kWrite && !both)) return "";
  return invalid + "not open for " + (both ? "reading and writing" : "writing");
}

std::string WhyUnfit(const Script& script) {
  if ((script.world & kBeingLoaded) != 0) {
    return "refused: a running program loads this code as a library (dlopen), and libc would wait "
           "for ever for the thread that does so";
  }
  if ((script.world & kParentOutside) == 0) return "";
  return "the parent of this process is not in its pid namespace, it could not reap the init "
         "process";
}

std::string WhyTooOld(const Script& script) {
  if (script.Get("_LIBCONTAINER_MOUNT_FDS") != nullptr) {
    return "the parent is runc 1.1 (_LIBCONTAINER_MOUNT_FDS is set), this nsexec serves 1.2.0 and "
           "newer";
  }
  if (script.Get("_LIBCONTAINER_STATEDIR") != nullptr &&
      script.Get("_LIBCONTAINER_SYNCPIPE") == nullptr) {
    return "the parent is runc 1.1 or older (_LIBCONTAINER_STATEDIR is set, _LIBCONTAINER_SYNCPIPE "
           "is not), this nsexec serves 1.2.0 and newer";
  }
  return "";
}

Decision DecideClassic(const Script& script) {
  using Kind = Decision::Kind;
  const char* const pid = script.Get("_LIBCONTAINER_INITPID");
  std::string why = WhyNoNumber("_LIBCONTAINER_INITPID", pid);
  if (why.empty() && pid == std::string("0")) {
    why = "invalid _LIBCONTAINER_INITPID \"0\": not a process";
  }
  if (why.empty()) {
    why = WhyNoFd("_LIBCONTAINER_INITPIPE", GetNonEmpty(script, "_LIBCONTAINER_INITPIPE"), false,
                  script);
  }
  if (why.empty()) why = WhyUnfit(script);
  return {why.empty() ? Kind::kClassic : Kind::kRefused, why};
}

Decision DecideNetlink(const Script& script, int told) {
  using Kind = Decision::Kind;
  const char* const pipe = GetNonEmpty(script, "_LIBCONTAINER_INITPIPE");
  const char* const level = GetNonEmpty(script, "_LIBCONTAINER_LOGLEVEL");
  std::string why = WhyTooOld(script);
  if (why.empty() && level != nullptr) why = WhyNoNumber("_LIBCONTAINER_LOGLEVEL", level);
  if (!why.empty()) return {Kind::kRefused, why, told};
  why = WhyNoNumber("_LIBCONTAINER_INITPIPE", pipe);
  if (!why.empty()) return {Kind::kRefused, why, told, true};
  if (AccessOf(std::stoi(pipe), script) == Access::kNone) {
    why = "failed to look at _LIBCONTAINER_INITPIPE " + std::string(pipe) + ": Bad file descriptor";
  } else if (std::stoi(pipe) != 3) {
    why = WhyNoFd("_LIBCONTAINER_INITPIPE", pipe, true, script);
  } else {
    std::uint16_t type = 0;
    const bool told_type = script.init_pipe.size() >= 6;
    if (told_type) std::memcpy(&type, script.init_pipe.data() + 4, sizeof(type));
    if (type != 62000 && script.init_pipe.substr(0, 1) == "{") return {Kind::kDocument, "", told};
  }
  if (why.empty()) why = WhyUnfit(script);
  return {why.empty() ? Kind::kNetlink : Kind::kRefused, why, told, true};
}

/// Section 0 and 3 of docs/protocol.md.
Decision Decide(const Script& script) {
  using Kind = Decision::Kind;
  const char* const pid = script.Get("_LIBCONTAINER_INITPID");
  const char* const pipe = GetNonEmpty(script, "_LIBCONTAINER_INITPIPE");
  const char* const log = GetNonEmpty(script, "_LIBCONTAINER_LOGPIPE");
  if (pid == nullptr && pipe == nullptr) return {Kind::kNothingAsked, ""};
  const std::string log_error =
      log == nullptr ? "" : WhyNoFd("_LIBCONTAINER_LOGPIPE", log, false, script);
  const int told = log != nullptr && log_error.empty() ? std::stoi(log) : STDERR_FILENO;
  if ((script.world & kSecure) != 0) {
    const bool ids_differ = (script.world & kUnprivileged) == 0;
    return {
        Kind::kRefused,
        std::string("refused: the program runs with privileges that its caller does not have: ") +
            (ids_differ ? "real and effective ids differ"
                        : "the program has capabilities of its own"),
        told, false, log != nullptr && log_error.empty()};
  }
  if (pid == nullptr && !log_error.empty()) return {Kind::kRefused, log_error};
  return pid != nullptr ? DecideClassic(script) : DecideNetlink(script, told);
}

/// True if `said` is `text`, or what the limits of an error and of a line leave of it.
bool IsCutOf(const std::string& said, const std::string& text) {
  if (said == text) return true;
  const std::size_t dots = said.rfind("...");  // the text may have its own
  const std::size_t kept = dots == std::string::npos ? said.size() : dots;
  return text.size() > 600 && kept >= 600 && text.compare(0, kept, said, 0, kept) == 0;
}

/// As a line on standard error shows it.
std::string Shown(const std::string& text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char escape[8] = {c, '\0'};
    if (byte < 0x20 || byte == 0x7f) (void)std::snprintf(escape, sizeof(escape), "\\u%04x", byte);
    shown += c == '\n' ? "\\n" : escape;
  }
  return shown;
}

bool IsSilenced(const Decision& decision, const Script& script) {
  const char* const level = script.Get("_LIBCONTAINER_LOGLEVEL");
  return decision.levelled && level != nullptr && level == std::string("0");
}

void CheckSaid(const Decision& decision, const Line& line, int fd, const ModelKernel& kernel) {
  kernel.Demand(line.fd == fd, "a refusal is said where it belongs");
  if (!IsCutOf(line.text, line.json ? decision.text : Shown(decision.text))) {
    kernel.Fail("a refusal says: " + decision.text);
  }
}

void CheckNumbers(const Script& script) {
  for (const auto& [name, value] : script.environment) {
    const std::string why = WhyNoNumber(name, value.c_str());
    const Result<int> number = ParseNumber(name, value.c_str());
    const bool same = number.ok() ? why.empty() && std::to_string(number.value()) == value.c_str()
                                  : IsCutOf(std::string(number.error().text()), why);
    if (!same) ModelKernel(script).Fail("a number is canonical, decimal and in range: " + why);
  }
}

void CheckDecision(const Script& script) {
  using Kind = Decision::Kind;
  const Decision decision = Decide(script);
  ModelKernel kernel(script);
  kernel.RunNsexec();
  const bool served = kernel.has_read_message() || kernel.has_looked_up();
  const std::vector<Line>& lines = kernel.lines();
  switch (decision.kind) {
    case Kind::kNothingAsked:
      kernel.Demand(kernel.calls() == 0, "without a request there is no system call");
      return;
    case Kind::kDocument:
      kernel.Demand(!kernel.exited() && !served, "a document is left for the Go side");
      return;
    case Kind::kClassic:
      kernel.Demand(kernel.has_looked_up() && !kernel.has_read_message(),
                    "the classic protocol is served");
      return;
    case Kind::kNetlink:
      kernel.Demand(kernel.has_read_message(), "the netlink protocol is served");
      return;
    case Kind::kRefused:
      kernel.Demand(kernel.exited() && kernel.status() == 1 && !served, "a refusal does nothing");
      if (IsSilenced(decision, script)) {
        kernel.Demand(lines.empty(), "level 0 drops the line");
        return;
      }
      if (lines.size() != (decision.twice ? 2U : 1U))
        kernel.Fail("a refusal says: " + decision.text);
      if (decision.twice) CheckSaid(decision, lines.front(), STDERR_FILENO, kernel);
      CheckSaid(decision, lines.back(), decision.told, kernel);
      return;
  }
}

}  // namespace
}  // namespace nsenter::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  nsenter::fuzz::Script script = nsenter::fuzz::ParseScript(data, size);
  script.follow = nsenter::fuzz::Role::kLaunched;
  script.faults.clear();
  nsenter::fuzz::CheckNumbers(script);
  nsenter::fuzz::CheckDecision(script);
  return 0;
}
