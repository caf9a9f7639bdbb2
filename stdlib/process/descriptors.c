/*
** descriptors.c - a child gets no descriptor but its three.
**
** libuv marks those that it opens itself as "close on exec", as do we. Others
** do not: Lua's io, the host, a library, any of them maybe on another thread
** at this very moment. So the child marks all, before libuv goes on there: it
** has one thread, and what it marks is its own.
*/
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"

static _Thread_local int spawning; /* what this thread forks is a child */

/* In each process that is forked from this one. */
static void mark(void) {
  struct rlimit limit;
  int fd;
  if (!spawning ||
      syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
    return;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) /* a kernel before Linux 5.11 */
    limit.rlim_cur = FD_SETSIZE;
  for (fd = 3; (rlim_t)fd < limit.rlim_cur; fd++)
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* most are not open */
}

void process__spawn_init(lua_State *L) {
  static atomic_int done;
  int error;
  if (atomic_load(&done))
    return;
  error = pthread_atfork(NULL, NULL, mark); /* twice would do no harm */
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
