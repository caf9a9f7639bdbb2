/*
** group.c - the group that a child leads: whether somebody of it runs.
**
** The kernel counts those who have ended, until their parent has noticed. When
** the child has gone that is the first process of the system, which may take
** its time for it, or, in a container, never do it: so /proc is asked then.
*/
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

/* Whether the process of that name in /proc runs, and is of the group. */
static int is_member(const char *name, pid_t group) {
  char text[512], state;
  const char *end;
  ssize_t n;
  int its, fd;
  (void)snprintf(text, sizeof text, "/proc/%s/stat", name);
  fd = open(text, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return 0; /* it has gone, or is none */
  n = read(fd, text, sizeof text - 1);
  (void)close(fd); /* was only read */
  text[n > 0 ? n : 0] = '\0';
  end = strrchr(text, ')'); /* of its name, which may be anything */
  return end != NULL && sscanf(end + 1, " %c %*d %d", &state, &its) == 2 &&
         its == group && state != 'Z' && state != 'X';
}

int process__group_runs(pid_t group) {
  struct dirent *entry;
  int found = 0;
  DIR *folder;
  (void)waitpid(-group, NULL, WNOHANG); /* some may be ours by now */
  if (uv_kill(-group, 0) == UV_ESRCH)
    return 0;
  if (uv_kill(group, 0) != UV_ESRCH)
    return 0; /* a process has that number: ours have gone */
  if (access("/proc/self/stat", R_OK) != 0 ||
      (folder = opendir("/proc")) == NULL)
    return 1; /* as the kernel says */
  while (!found && (entry = readdir(folder)) != NULL)
    found = *entry->d_name >= '1' && *entry->d_name <= '9' &&
            is_member(entry->d_name, group);
  (void)closedir(folder);
  return found;
}
