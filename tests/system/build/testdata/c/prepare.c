// SPDX-License-Identifier: Apache-2.0
//
// Blocks SIGUSR2, ignores SIGHUP and the signals whose numbers are its environment's
// PREPARE_IGNORE, sets all others to their defaults, and becomes the program PREPARE_PROGRAM.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
  for (int number = 1; number <= SIGRTMAX; number++) signal(number, SIG_DFL);
  signal(SIGHUP, SIG_IGN);
  const char* ignore = getenv("PREPARE_IGNORE");
  if (ignore != NULL) signal(atoi(ignore), SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  sigprocmask(SIG_SETMASK, &blocked, NULL);
  char* const program = getenv("PREPARE_PROGRAM");
  char* const argv[] = {program, NULL};
  execv(program, argv);
  perror(program);
  return 127;
}
