/*
** descriptors.c - a child gets no descriptor but its three.
**
** libuv marks those that it opens itself as "close on exec", as do we. Others
** do not: Lua's io, the host, a library, any of them maybe on another thread
** at this very moment. So the child marks all, before libuv goes on there: it
** has one thread, and what it marks is its own.
*/
#define _GNU_SOURCE /* close_range, getdents64 */

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "process.h"

/* What this thread forks is a child. Initial-exec: whatever the host forks
   looks here, maybe on a thread that never has, where memory cannot be had. */
static _Thread_local int spawning __attribute__((tls_model("initial-exec")));

static void mark(int fd) {
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* it may not be open */
}

/* Where the kernel, before Linux 5.11, or a filter does not know the call for
   all. The limit may be a thousand million: those that are open are listed. */
static void mark_each(void) {
  _Alignas(struct dirent64) char entries[1024];
  struct rlimit limit;
  ssize_t size, at;
  int fd, folder = open("/dev/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    for (fd = 3; (rlim_t)fd < limit.rlim_cur; fd++)
      mark(fd);
  }
  while ((size = getdents64(folder, entries, sizeof entries)) > 0) {
    const struct dirent64 *entry;
    for (at = 0; at < size; at += entry->d_reclen) {
      entry = (const struct dirent64 *)(entries + at);
      fd = atoi(entry->d_name);
      if (fd > 2) /* nor "." and ".." */
        mark(fd);
    }
  }
}

/* In each process that is forked from this one. */
static void mark_all(void) {
  if (spawning && close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
    mark_each();
}

void process__spawn_init(lua_State *L) {
  static atomic_int done;
  int error;
  if (atomic_load(&done))
    return;
  error = pthread_atfork(NULL, NULL, mark_all); /* twice would do no harm */
  if (error != 0)
    luaL_error(L, "pthread_atfork: %s", strerror(error));
  atomic_store(&done, 1);
}

int process__spawn(uv_loop_t *loop, uv_process_t *child,
                   const uv_process_options_t *options) {
  int status;
  spawning = 1;
  status = uv_spawn(loop, child, options);
  spawning = 0;
  return status;
}
