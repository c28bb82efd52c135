// SPDX-License-Identifier: Apache-2.0

#include "namespace_type.h"
#include "process.h"

#include <cerrno>

namespace nsenter::spawn {
namespace {

/// The namespaces that were refused with EPERM, as the core names them: all, at the end.
class Joining {
 public:
  explicit Joining(SpawnRequest& request) : request_(request) {}

  bool Join(int fd, int flag) {
    const int result = sys::Setns(fd, flag);
    if (result == -EPERM) {
      refused_ |= flag;
      return true;
    }
    return result == 0 || Fail(request_, kSpawnJoin, result, flag);
  }
  bool End() { return refused_ == 0 || Fail(request_, kSpawnJoin, -EPERM, refused_); }

 private:
  SpawnRequest& request_;
  int refused_ = 0;
};

}  // namespace

bool JoinAsAsked(SpawnRequest& request, int kinds) {
  Joining joining(request);
  const int flags = request.target_flags & kinds;
  if (flags != 0 && sys::Setns(request.target, flags) < 0) {
    // All or nothing, so nothing has changed. One after the other, to say which it was.
    for (const NamespaceType& type : kNamespaceTypes) {
      if ((flags & type.clone_flag) == 0) continue;
      if (!joining.Join(request.target, type.clone_flag)) return false;
    }
  }
  for (int i = 0; i < request.join_count; ++i) {
    const SpawnJoin& join = request.joins[i];
    if ((join.flag & kinds) != 0 && !joining.Join(join.fd, join.flag)) return false;
  }
  return joining.End();
}

}  // namespace nsenter::spawn
