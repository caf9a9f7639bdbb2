/*
** descriptors.c - a child gets no descriptor but its three.
**
** libuv marks those that it opens itself as "close on exec", as do we. Others
** do not: Lua's io, the host, a library. So while a child is started, all are
** marked, and afterwards those that were not are as before. One thread at a
** time: to another one they would look as if they had been so all along, and
** lose the mark before its own child has begun.
*/
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* mark to unmark */

static int remember(process_marks *marks, int fd) {
  if (marks->count == marks->capacity) {
    size_t capacity = marks->capacity * 2 + 16;
    int *fds = (int *)realloc(marks->fds, capacity * sizeof *fds);
    if (fds == NULL)
      return UV_ENOMEM;
    marks->fds = fds;
    marks->capacity = capacity;
  }
  marks->fds[marks->count++] = fd;
  return 0;
}

int process__mark(process_marks *marks) {
  DIR *folder;
  struct dirent *entry;
  int status = 0;
  pthread_mutex_lock(&mutex);
  memset(marks, 0, sizeof *marks);
  folder = opendir("/dev/fd"); /* has a descriptor, too, which is marked */
  if (folder == NULL)
    return uv_translate_sys_error(errno);
  while (status == 0 && (entry = readdir(folder)) != NULL) {
    int fd = atoi(entry->d_name); /* "." and "..": 0 */
    int flags = fd > 2 ? fcntl(fd, F_GETFD) : -1;
    if (flags < 0 || (flags & FD_CLOEXEC))
      continue;
    status = remember(marks, fd);
    if (status == 0)
      (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC); /* it is open */
  }
  (void)closedir(folder); /* was only read */
  return status;
}

void process__unmark(process_marks *marks) {
  size_t i;
  for (i = 0; i < marks->count; i++) {
    int flags = fcntl(marks->fds[i], F_GETFD);
    if (flags >= 0)
      (void)fcntl(marks->fds[i], F_SETFD, flags & ~FD_CLOEXEC);
  }
  free(marks->fds);
  pthread_mutex_unlock(&mutex);
}
