// SPDX-License-Identifier: Apache-2.0

#include "log.h"

#include "words.h"

#include <cerrno>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace nsenter {
namespace {

// A pipe takes a line that is shorter than PIPE_BUF (4,096 on Linux) whole or not at all; a longer
// one could be mixed with another process's.
constexpr std::size_t kLineSize = 4095;

// The time that a fatal line waits for room in a pipe that is full. It is the last line: a parent
// that reads slowly should get it, and a parent that never reads should not keep us.
constexpr int kFatalPatienceMs = 300;

void WriteLine(int fd, std::string_view line, int patience_ms) {
  // The descriptor's O_NONBLOCK is shared with the parent, so it cannot be changed for one write.
  // Our processes take turns in logging (each waits for another, or has nothing to say: decision
  // 0007), so the room that poll sees, which in a pipe is a whole page, is there for the write.
  while (!line.empty()) {
    const int room = sys::Poll(fd, POLLOUT, patience_ms);
    // EINVAL: where RLIMIT_NOFILE is 0, poll takes no descriptor at all. Then the line goes
    // unasked.
    if (room <= 0 && room != -EINVAL) return;
    const int written = sys::Write(fd, line.data(), line.size());
    if (written <= 0) return;
    line = From(line, static_cast<std::size_t>(written));
  }
}

// strerror_r comes in two shapes: GNU's returns the text, POSIX's (musl) fills the buffer.
[[maybe_unused]] std::string_view ErrorText(const char* text, const char* /*buffer*/) {
  return text;
}
[[maybe_unused]] std::string_view ErrorText(int /*result*/, const char* buffer) { return buffer; }

}  // namespace

void Log::Fatal(const Error& error) const {
  if (!error.reported() && Says(LogLevel::kFatal)) SayFatal(error);
  // If this fails too, the process that waits sees our end instead.
  constexpr Word kWord = Word::kFailed;
  if (waiting_fd_ >= 0) sys::Write(waiting_fd_, &kWord, sizeof(kWord));
}

void Log::SayDebug(const Piece* pieces, std::size_t count) const {
  FixedText<kErrorTextSize> text;
  text.Append(pieces, count);
  WriteJson("debug", text.view(), 0);
}

void Log::SayFatal(const Error& error) const {
  FixedText<kErrorTextSize + 200> text;
  text.Append(error.text());
  if (error.code() != 0) {
    char buffer[128] = "";
    text.AppendAll(": ", ErrorText(strerror_r(error.code(), buffer, sizeof(buffer)), buffer));
  }
  if (fd_ >= 0) {
    WriteJson("fatal", text.view(), kFatalPatienceMs);
    return;
  }
  FixedText<kLineSize> line;
  line.Append(prefix_);
  AppendEscaped(line, text.view(), {}, 1);
  line.Append('\n');
  WriteLine(STDERR_FILENO, line.view(), kFatalPatienceMs);
}

void Log::WriteJson(std::string_view level, std::string_view text, int patience_ms) const {
  constexpr std::string_view kEnd = "\"}\n";
  FixedText<kLineSize> line;
  line.AppendAll("{\"level\":\"", level, "\", \"msg\": \"nsexec");
  if (tag_ != ProcessTag::kOnlyOne) line.AppendAll('-', static_cast<int>(tag_));
  line.AppendAll('[', sys::ProcessId(), "]: ");
  AppendEscaped(line, text, kJsonSpecial, kEnd.size());
  line.Append(kEnd);
  WriteLine(fd_, line.view(), patience_ms);
}

}  // namespace nsenter
