// SPDX-License-Identifier: Apache-2.0

#include "reply.h"

#include "sys.h"

namespace nsenter {
namespace {

using ReplyText = FixedText<80>;

Status WriteAll(int pipe, std::string_view rest) {
  while (!rest.empty()) {
    ASSIGN_OR_RETURN(const int written, Check(sys::Write(pipe, rest.data(), rest.size()),
                                              "failed to write the reply to INITPIPE"));
    if (written == 0) return Error::Of("failed to write the reply to INITPIPE: it takes nothing");
    rest = From(rest, static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Status WriteNetlinkReply(int pipe, pid_t stage1, pid_t init) {
  ReplyText reply;
  reply.AppendAll("{\"stage1_pid\":", stage1, ",\"stage2_pid\":", init, "}\n");
  return WriteAll(pipe, reply.view());
}

Status WriteClassicReply(int pipe, pid_t init) {
  ReplyText reply;
  reply.AppendAll("{ \"pid\" : ", init, " }\n");
  return WriteAll(pipe, reply.view());
}

}  // namespace nsenter
