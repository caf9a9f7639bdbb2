/*
** spawn.c - times the start-up of programs. Usage:
**   spawn ROUNDS [prompt] -- COMMAND ARG... -- COMMAND ARG... ...
** Runs the commands in turn, ROUNDS times after one round to warm the
** caches, and prints for each command one line: the wall time of each of
** its runs in milliseconds. `prompt`: each runs on a terminal of its own, and
** the time is that until it shows "> ".
*/
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAXCOMMANDS 16

extern char **environ;

static void fail(const char *what) {
  fprintf(stderr, "spawn: %s\n", what);
  exit(1);
}

static double wall_now(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
    fail("no clock");
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* milliseconds from the start of the command to its end */
static double run_once(char **command) {
  posix_spawn_file_actions_t actions;
  double start, spent;
  pid_t pid;
  int status;
  if (posix_spawn_file_actions_init(&actions) != 0 ||
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY,
                                       0) != 0)
    fail("not enough memory");
  start = wall_now();
  if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ) != 0)
    fail(command[0]);
  if (waitpid(pid, &status, 0) != pid || status != 0)
    fail(command[0]);
  spent = wall_now() - start;
  posix_spawn_file_actions_destroy(&actions);
  return spent;
}

/* milliseconds from the start of the command to its prompt */
static double prompt_once(char **command) {
  char text[4096] = "";
  size_t n = 0;
  int terminal;
  double spent, start = wall_now();
  pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
  if (pid < 0)
    fail("no terminal");
  if (pid == 0) {
    setenv("TERM", "xterm", 1);
    execvp(command[0], command);
    _exit(1);
  }
  while (n < 2 || memcmp(text + n - 2, "> ", 2) != 0) {
    ssize_t more = read(terminal, text + n, sizeof text - n);
    if (more <= 0)
      fail(command[0]);
    n += (size_t)more;
  }
  spent = wall_now() - start;
  if (kill(pid, SIGKILL) != 0 || waitpid(pid, NULL, 0) != pid)
    fail(command[0]);
  close(terminal);
  return spent;
}

int main(int argc, char **argv) {
  int prompts = argc > 2 && strcmp(argv[2], "prompt") == 0;
  char **commands[MAXCOMMANDS];
  int rounds = argc > 1 ? atoi(argv[1]) : 0;
  int ncommands = 0, i, round;
  double *times;
  for (i = 2 + prompts; i < argc; i++) {
    if (strcmp(argv[i], "--") == 0) {
      argv[i] = NULL;  /* ends the command before */
      if (i + 1 == argc || ncommands == MAXCOMMANDS)
        fail("bad arguments");
      commands[ncommands++] = &argv[i + 1];
    }
  }
  if (rounds <= 0 || ncommands == 0)
    fail("bad arguments");
  times = calloc((size_t)rounds * (size_t)ncommands, sizeof *times);
  if (times == NULL)
    fail("not enough memory");
  for (round = -1; round < rounds; round++) {
    for (i = 0; i < ncommands; i++) {
      double spent = prompts ? prompt_once(commands[i])
                             : run_once(commands[i]);
      if (round >= 0)
        times[i * rounds + round] = spent;
    }
  }
  for (i = 0; i < ncommands; i++) {
    for (round = 0; round < rounds; round++)
      printf("%.4f ", times[i * rounds + round]);
    printf("\n");
  }
  free(times);
  return 0;
}
