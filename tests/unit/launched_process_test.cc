// SPDX-License-Identifier: Apache-2.0
//
// The helper and the writing of maps are tested here too: they need a launched process.

#include "launched_process.h"

#include "child.h"
#include "expect.h"
#include "helper.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <string>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nsenter {
namespace {

Bootstrap NewUserNamespace(const char* uid_map, const char* gid_map) {
  Bootstrap bootstrap;
  bootstrap.clone_flags = CLONE_NEWUSER;
  bootstrap.uid_map = ParseIdMap("UIDMAP", uid_map).value();
  bootstrap.gid_map = ParseIdMap("GIDMAP", gid_map).value();
  return bootstrap;
}

/// A line of a map as /proc shows it, with single blanks.
std::string Squeeze(const std::string& text) {
  std::string squeezed;
  for (const char c : text) {
    if (c == ' ' && (squeezed.empty() || squeezed.back() == ' ' || squeezed.back() == '\n')) {
      continue;
    }
    squeezed += c;
  }
  return squeezed;
}

std::string Own(const char* name) {
  return Squeeze(test::ReadFile(std::string("/proc/self/") + name));
}

std::string Enter(const Bootstrap& bootstrap) {
  Log log("FATAL: ");
  return test::Describe(EnterNamespaces(bootstrap, Kinship::kSibling, log));
}

void BecomeUser(uid_t id) {
  ASSERT_EQ(setgroups(0, nullptr), 0);
  ASSERT_EQ(setresgid(id, id, id), 0);
  ASSERT_EQ(setresuid(id, id, id), 0);
  // As a program has it that this user has started.
  ASSERT_EQ(prctl(PR_SET_DUMPABLE, 1L, 0L, 0L, 0L), 0);
}

TEST(EnterNamespaces, HasAHelperWriteTheMaps) {
  NEEDS_ROOT();
  const test::Outcome outcome = test::RunInChild([] {
    Bootstrap bootstrap = NewUserNamespace("0 100000 10\n10 200000 5\n", "0 300000 20\n");
    bootstrap.clone_flags |= CLONE_NEWNET;
    bootstrap.setgroups = true;
    bootstrap.oom_score_adj = "1000";
    const gid_t group = 7;
    ASSERT_EQ(setgroups(1, &group), 0);
    Log log("FATAL: ");
    const Result<pid_t> helper = EnterNamespaces(bootstrap, Kinship::kSibling, log);
    ASSERT_EQ(test::Describe(helper), "success");
    EXPECT_NE(helper.value(), 0);
    EXPECT_EQ(Own("uid_map"), "0 100000 10\n10 200000 5\n");
    EXPECT_EQ(Own("gid_map"), "0 300000 20\n");
    EXPECT_EQ(Own("setgroups"), "allow\n");
    EXPECT_EQ(Own("oom_score_adj"), "1000\n");
    EXPECT_EQ(getuid(), 0U);
    EXPECT_EQ(getgid(), 0U);
    EXPECT_EQ(getgroups(0, nullptr), 0);
  });
  test::ExpectSilentSuccess(outcome);
  EXPECT_EQ(outcome.siblings.size(), 1U) << "the helper, a child of our parent";
}

TEST(EnterNamespaces, MapsASingleIdItself) {
  NEEDS_ROOT();
  const test::Outcome outcome = test::RunInChild([] {
    BecomeUser(1000);
    Bootstrap bootstrap = NewUserNamespace("0 1000 1\n", "0 1000 1\n");
    bootstrap.rootless_euid = true;
    Log log("FATAL: ");
    const Result<pid_t> helper = EnterNamespaces(bootstrap, Kinship::kSibling, log);
    ASSERT_EQ(test::Describe(helper), "success");
    EXPECT_EQ(helper.value(), 0);
    EXPECT_EQ(Own("uid_map"), "0 1000 1\n");
    EXPECT_EQ(Own("gid_map"), "0 1000 1\n");
    EXPECT_EQ(Own("setgroups"), "deny\n");
  });
  test::ExpectSilentSuccess(outcome);
  EXPECT_TRUE(outcome.siblings.empty());
}

TEST(EnterNamespaces, RunsTheToolForWhoIsNotRoot) {
  NEEDS_ROOT();
  const test::TemporaryFolder folder;
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  const std::string tool = folder.WriteProgram("tool", "#!/bin/sh\nexit 3\n");
  const test::Outcome outcome = test::RunInChild([&] {
    BecomeUser(1000);
    Bootstrap bootstrap = NewUserNamespace("0 1000 1\n1 200000 10\n", "0 1000 1\n");
    bootstrap.rootless_euid = true;
    bootstrap.uid_map_tool = tool;
    EXPECT_EQ(Enter(bootstrap), "reported");
  });
  test::ExpectExit(outcome, 0, "FATAL: " + tool + " exited with status 3\n");
  ASSERT_EQ(outcome.siblings.size(), 1U);
  EXPECT_EQ(WEXITSTATUS(outcome.siblings[0]), 1);
}

TEST(EnterNamespaces, SetsTimeOffsets) {
  NEEDS_ROOT();
  NEEDS(access("/proc/self/timens_offsets", F_OK) == 0, "a kernel with time namespaces");
  test::ExpectSilentSuccess(test::RunInChild([] {
    Bootstrap bootstrap;
    bootstrap.clone_flags = CLONE_NEWTIME;
    bootstrap.time_offsets = "boottime 7 5\nmonotonic 3 4\n";
    EXPECT_EQ(Enter(bootstrap), "success");
    EXPECT_EQ(Own("timens_offsets"), "monotonic 3 4\nboottime 7 5\n");
  }));
}

TEST(EnterNamespaces, NamesOffsetsThatTheKernelRefuses) {
  NEEDS_ROOT();
  NEEDS(access("/proc/self/timens_offsets", F_OK) == 0, "a kernel with time namespaces");
  test::ExpectSilentSuccess(test::RunInChild([] {
    Bootstrap bootstrap;
    bootstrap.clone_flags = CLONE_NEWTIME;
    bootstrap.time_offsets = "realtime 7 5\n";
    EXPECT_EQ(Enter(bootstrap),
              "failed to write \"realtime 7 5\n\" to timens_offsets: Invalid argument");
  }));
}

// Out of reach it shares memory, wherever that can be done at all.

/// Starts a helper in a process of its own, where SIGPIPE is ignored.
Result<Helper> StartHelper(const Bootstrap& bootstrap, const OwnProc& proc, bool out_of_reach,
                           Kinship kinship = Kinship::kSibling) {
  (void)std::signal(SIGPIPE, SIG_IGN);
  static Log log("FATAL: ");  // the helper uses it until it ends
  return Helper::Start(bootstrap, proc, kinship, out_of_reach, log);
}

TEST(Helper, EndsWithTheLaunchedProcess) {
  const Bootstrap bootstrap = NewUserNamespace("0 100000 10\n", "0 100000 10\n");
  for (const bool out_of_reach : {false, true}) {
    for (const bool killed : {false, true}) {
      const test::Outcome outcome = test::RunInChild([&] {
        const Result<OwnProc> proc = OwnProc::Open();
        const Result<Helper> helper = StartHelper(bootstrap, proc.value(), out_of_reach);
        EXPECT_EQ(test::Describe(helper), "success");
        if (killed) (void)raise(SIGKILL);
        _exit(0);
      });
      EXPECT_EQ(outcome.status, killed ? SIGKILL : 0);
      EXPECT_EQ(outcome.output, "");
      ASSERT_EQ(outcome.siblings.size(), 1U);
      EXPECT_EQ(WEXITSTATUS(outcome.siblings[0]), 1);
    }
  }
}

TEST(Helper, IsMissedWhenItIsKilled) {
  const Bootstrap bootstrap = NewUserNamespace("0 100000 10\n", "0 100000 10\n");
  for (const bool out_of_reach : {false, true}) {
    const test::Outcome outcome = test::RunInChild([&] {
      const Result<OwnProc> proc = OwnProc::Open();
      Result<Helper> helper = StartHelper(bootstrap, proc.value(), out_of_reach);
      EXPECT_EQ(test::Describe(helper), "success");
      kill(helper.value().pid(), SIGKILL);
      EXPECT_ERROR(helper.value().WriteMaps(),
                   "the helper ended before it had written the id maps");
    });
    test::ExpectExit(outcome, 0, "");
    ASSERT_EQ(outcome.siblings.size(), 1U);
    EXPECT_EQ(outcome.siblings[0], SIGKILL);
  }
}

#ifndef NSEXEC_EMULATED  // there are no filters
TEST(Helper, HasACopyIfSharingIsRefused) {
  NEEDS_ROOT();
  const Bootstrap bootstrap = NewUserNamespace("0 100000 10\n", "0 100000 10\n");
  const test::Outcome outcome = test::RunInChild([&] {
    test::ForbidSharingMemory();
    const Result<OwnProc> proc = OwnProc::Open();
    Result<Helper> helper = StartHelper(bootstrap, proc.value(), true);
    ASSERT_EQ(test::Describe(helper), "success");
    ASSERT_EQ(unshare(CLONE_NEWUSER), 0);
    EXPECT_SUCCESS(helper.value().WriteMaps());
    EXPECT_EQ(Own("uid_map"), "0 100000 10\n");
  });
  test::ExpectSilentSuccess(outcome);
  EXPECT_EQ(outcome.siblings.size(), 1U);
}
#endif

TEST(Helper, IsReapedIfItIsAChild) {
  NEEDS_ROOT();
  const Bootstrap bootstrap = NewUserNamespace("0 100000 10\n", "0 100000 10\n");
  for (const bool out_of_reach : {false, true}) {
    for (const bool ignored : {false, true}) {
      const test::Outcome outcome = test::RunInChild([&] {
        (void)std::signal(SIGCHLD, ignored ? SIG_IGN : SIG_DFL);
        const Result<OwnProc> proc = OwnProc::Open();
        Result<Helper> helper = StartHelper(bootstrap, proc.value(), out_of_reach, Kinship::kChild);
        ASSERT_EQ(test::Describe(helper), "success");
        ASSERT_EQ(unshare(CLONE_NEWUSER), 0);
        EXPECT_SUCCESS(helper.value().WriteMaps());
        EXPECT_EQ(Own("uid_map"), "0 100000 10\n");
        EXPECT_EQ(waitpid(-1, nullptr, 0), -1) << "there is no child any more";
        EXPECT_EQ(errno, ECHILD);
      });
      test::ExpectSilentSuccess(outcome);
      EXPECT_TRUE(outcome.siblings.empty());
    }
  }
}

// No handler of the program runs in a process that has its memory, and the launched process has its
// signals as before.
TEST(Helper, HasAllSignalsBlocked) {
  const Bootstrap bootstrap = NewUserNamespace("0 100000 10\n", "0 100000 10\n");
  for (const bool out_of_reach : {false, true}) {
    const test::Outcome outcome = test::RunInChild([&] {
      static volatile std::sig_atomic_t handled = 0;
      (void)std::signal(SIGUSR1, [](int) { handled = handled + 1; });
      const Result<OwnProc> proc = OwnProc::Open();
      const Result<Helper> helper = StartHelper(bootstrap, proc.value(), out_of_reach);
      ASSERT_EQ(test::Describe(helper), "success");
      EXPECT_EQ(kill(helper.value().pid(), SIGUSR1), 0);
      EXPECT_EQ(kill(helper.value().pid(), SIGTERM), 0);
      usleep(10'000);
      EXPECT_EQ(handled, 0);
      sigset_t mask;
      EXPECT_EQ(sigprocmask(SIG_SETMASK, nullptr, &mask), 0);
      EXPECT_EQ(sigisemptyset(&mask), 1);
    });
    test::ExpectExit(outcome, 0, "");
    ASSERT_EQ(outcome.siblings.size(), 1U);
    EXPECT_TRUE(WIFEXITED(outcome.siblings[0])) << "has ended with us, and not of SIGTERM";
  }
}

// Without standard error the next descriptor that is opened has its number: nothing that is said
// may end up in one of ours.
TEST(Helper, DoesNotTakeAFatalLineForARequest) {
  NEEDS_ROOT();
  const test::TemporaryFolder folder;
  const std::string tool =
      folder.WriteProgram("tool", "#!/bin/sh\n: >" + folder.path() + "/was-run\n");
  const test::Outcome outcome = test::RunInChild([&] {
    for (int fd = 0; fd < 3; ++fd) close(fd);
    Bootstrap bootstrap = NewUserNamespace("0 100000 10\n", "0 100000 10\n");
    bootstrap.uid_map_tool = tool;
    const Result<OwnProc> proc = OwnProc::Open();              // fd 0
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);  // fd 1
    Log log("FATAL: ");
    const Result<Helper> helper =
        Helper::Start(bootstrap, proc.value(), Kinship::kSibling, false, log);
    log.Fatal(Error::Of("the launched process fails before it has asked for anything"));
    close(null);
    _exit(1);
  });
  EXPECT_EQ(access((folder.path() + "/was-run").c_str(), F_OK), -1) << "the mapping tool was run";
  ASSERT_EQ(outcome.siblings.size(), 1U);
}

}  // namespace
}  // namespace nsenter
