// SPDX-License-Identifier: Apache-2.0

#include "id_map_writer.h"

#include "expect.h"
#include "scripted_kernel.h"
#include "scripts.h"

#include <gtest/gtest.h>
#include <string>

namespace nsenter {
namespace {

using test::ScriptedKernel;

enum class Writer { kHelper, kLaunchedProcess };

/// What WriteIdMaps says when the kernel does as `script` says.
std::string Write(const Bootstrap& bootstrap, const std::string& script,
                  Writer writer = Writer::kHelper) {
  const ScriptedKernel kernel(test::OpensProc() + script + "\nclose(3)");
  const Result<OwnProc> proc = OwnProc::Open();
  const BlockedSignals signals;
  const MappingTools tools = {.signals = writer == Writer::kHelper ? &signals : nullptr};
  return test::Describe(WriteIdMaps(bootstrap, proc.value(), 42, tools));
}

TEST(WriteIdMaps, WritesUidsThenGids) {
  EXPECT_EQ(Write(test::WithMaps(), test::WritesMaps()), "success");
}

const std::string kDenied = test::Writes("setgroups", "deny") + test::WritesMaps();

TEST(WriteIdMaps, DeniesSetgroupsFirstIfRootless) {
  Bootstrap bootstrap = test::WithMaps();
  bootstrap.rootless_euid = true;
  EXPECT_EQ(Write(bootstrap, kDenied), "success");
  EXPECT_EQ(Write(bootstrap, kDenied, Writer::kLaunchedProcess), "success");
}

TEST(WriteIdMaps, DoesNotDenySetgroupsIfTheyAreAskedFor) {
  Bootstrap bootstrap = test::WithMaps();
  bootstrap.rootless_euid = true;
  bootstrap.setgroups = true;
  EXPECT_EQ(Write(bootstrap, "openat(3, \"uid_map\", O_WRONLY|O_CLOEXEC) = EPERM"),
            "failed to open uid_map: Operation not permitted");
}

TEST(WriteIdMaps, DoesWithoutAKernelThatKnowsSetgroups) {
  Bootstrap bootstrap = test::WithMaps();
  bootstrap.rootless_euid = true;
  EXPECT_EQ(Write(bootstrap, R"(
    openat(3, "setgroups", O_WRONLY|O_CLOEXEC) = ENOENT
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 1000 10\n") = EPERM
    close(4)
  )"),
            "failed to write \"0 1000 10\n\" to uid_map: Operation not permitted");
}

TEST(WriteIdMaps, WritesNoMapIfSetgroupsCannotBeDenied) {
  Bootstrap bootstrap = test::WithMaps();
  bootstrap.rootless_euid = true;
  EXPECT_EQ(Write(bootstrap, "openat(3, \"setgroups\", O_WRONLY|O_CLOEXEC) = EPERM"),
            "failed to open setgroups: Operation not permitted");
  EXPECT_EQ(Write(bootstrap, R"(
    openat(3, "setgroups", O_WRONLY|O_CLOEXEC) = 4
    write(4, "deny") = EPERM
    close(4)
  )"),
            "failed to write \"deny\" to setgroups: Operation not permitted");
}

constexpr const char* kRefusedThenTools = R"(
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 1000 10\n") = EPERM
    close(4)
    readlink("/proc/self") = "41"
    getpid() = 41
    sigaction(SIGCHLD, SIG_DFL)
    clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 50
    waitpid(50) = 0
    openat(3, "gid_map", O_WRONLY|O_CLOEXEC) = EPERM
    readlink("/proc/self") = "41"
    getpid() = 41
    sigaction(SIGCHLD, SIG_DFL)
    clone(CLONE_VM|CLONE_VFORK|SIGCHLD, NULL, function) = 51
    waitpid(51) = 0
)";

TEST(WriteIdMaps, RunsTheToolsWhereItIsNotPermitted) {
  Bootstrap bootstrap = test::WithMaps();
  bootstrap.uid_map_tool = "/bin/newuidmap";
  bootstrap.gid_map_tool = "/bin/newgidmap";
  EXPECT_EQ(Write(bootstrap, kRefusedThenTools), "success");
}

TEST(WriteIdMaps, RunsNoToolForAnyOtherError) {
  Bootstrap bootstrap = test::WithMaps();
  bootstrap.uid_map_tool = "/bin/newuidmap";
  for (const std::string error : {"EACCES", "EINVAL", "EIO"}) {
    EXPECT_NE(Write(bootstrap, "openat(3, \"uid_map\", O_WRONLY|O_CLOEXEC) = " + error), "success");
    EXPECT_NE(Write(bootstrap,
                    "openat(3, \"uid_map\", O_WRONLY|O_CLOEXEC) = 4\n"
                    "write(4, \"0 1000 10\\n\") = " +
                        error + "\nclose(4)"),
              "success");
  }
}

constexpr const char* kRefused = R"(
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 1000 10\n") = EPERM
    close(4)
)";

TEST(WriteIdMaps, RunsNoToolWithoutAPath) {
  EXPECT_EQ(Write(test::WithMaps(), kRefused),
            "failed to write \"0 1000 10\n\" to uid_map: Operation not permitted");
}

TEST(WriteIdMaps, RunsNoToolInside) {
  Bootstrap bootstrap = test::WithMaps();
  bootstrap.uid_map_tool = "/bin/newuidmap";
  EXPECT_EQ(Write(bootstrap, kRefused, Writer::kLaunchedProcess),
            "failed to write \"0 1000 10\n\" to uid_map: Operation not permitted");
}

TEST(WriteIdMaps, RefusesAMapThatIsWrittenInPart) {
  EXPECT_EQ(Write(test::WithMaps(), R"(
    openat(3, "uid_map", O_WRONLY|O_CLOEXEC) = 4
    write(4, "0 1000 10\n") = 9
    close(4)
  )"),
            "wrote only 9 of 10 bytes to uid_map");
}

TEST(MayWriteOwnMaps, OnlyItsOwnIdsAndWithoutSetgroups) {
  Bootstrap bootstrap = test::WithMaps();
  bootstrap.rootless_euid = true;
  bootstrap.uid_map = ParseIdMap("UIDMAP", "0 1000 1\n").value();
  bootstrap.gid_map = ParseIdMap("GIDMAP", "0 2000 1\n").value();
  {
    const ScriptedKernel kernel("geteuid() = 1000\ngetegid() = 2000");
    EXPECT_TRUE(MayWriteOwnMaps(bootstrap));
  }
  {
    const ScriptedKernel kernel("geteuid() = 1001");
    EXPECT_FALSE(MayWriteOwnMaps(bootstrap));
  }
  {
    const ScriptedKernel kernel("geteuid() = 1000\ngetegid() = 2001");
    EXPECT_FALSE(MayWriteOwnMaps(bootstrap));
  }
  {
    const ScriptedKernel kernel("");
    bootstrap.setgroups = true;
    EXPECT_FALSE(MayWriteOwnMaps(bootstrap));
    bootstrap.setgroups = false;
    bootstrap.rootless_euid = false;
    EXPECT_FALSE(MayWriteOwnMaps(bootstrap));
  }
}

}  // namespace
}  // namespace nsenter
