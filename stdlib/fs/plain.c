/*
** plain.c - system calls on files, as the threads make them: a signal does not
** end them, and no thread waits for pipes and terminals.
**
** Files are opened so that they do not block. That means nothing to files on
** a disk; of a pipe or a terminal, poll tells whether there is something, and
** if not, the loop, when there is.
*/
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/xattr.h>
#endif

#include "fs.h"

#define LOOK_AROUND 50 /* ms: how often a wait looks whether it has an end */

int fs__open_at(int folder, const char *path, int flags, mode_t mode) {
  int fd;
  do
    fd = openat(folder, path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

int fs__open(const char *path, int flags, mode_t mode) {
  return fs__open_at(AT_FDCWD, path, flags, mode);
}

int fs__close(int fd) {
  int status = close(fd);
  return status == 0 || errno == EINTR ? 0 : -1; /* Linux has closed it */
}

/* Whether there is something to read, or room. Else -1: the loop will tell, or
   nobody waits any longer. */
static int wait_for(module_work *work, int fd, int is_read) {
  struct pollfd p = {.fd = fd, .events = is_read ? POLLIN : POLLOUT};
  while (!atomic_load(&work->cancelled)) {
    int n = poll(&p, 1, work->unwatched ? LOOK_AROUND : 0);
    if (n > 0 && !atomic_load(&work->cancelled)) /* else it is not for us */
      return 0;
    if (n == 0 && !work->unwatched) {
      work->events = is_read ? UV_READABLE : UV_WRITABLE;
      work->fd = fd;
      return -1;
    }
    if (n < 0 && errno != EINTR)
      return -1;
  }
  errno = ECANCELED;
  return -1;
}

ssize_t fs__read(module_work *work, int fd, int is_regular, void *to,
                 size_t size) {
  for (;;) {
    ssize_t n;
    /* a named pipe that nobody writes to yet has not ended */
    if (!is_regular && wait_for(work, fd, 1) != 0)
      return -1;
    n = read(fd, to, size);
    if (n >= 0 || (errno != EINTR && (is_regular || errno != EAGAIN)))
      return n;
  }
}

/* Without a reader a pipe sends a signal, which would end the program. */
static void block_sigpipe(void) {
  sigset_t set;
  (void)sigemptyset(&set); /* with these arguments neither fails */
  (void)sigaddset(&set, SIGPIPE);
  (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int fs__write(module_work *work, int fd, int is_regular, const char *data,
              size_t size, size_t *done) {
  if (!is_regular)
    block_sigpipe(); /* the thread is libuv's; it has no need of it */
  while (*done < size) {
    ssize_t n;
    if (!is_regular && wait_for(work, fd, 0) != 0)
      return -1;
    n = write(fd, data + *done, size - *done);
    if (n >= 0)
      *done += (size_t)n;
    else if (errno != EINTR && (is_regular || errno != EAGAIN))
      return -1;
  }
  return 0;
}

mode_t fs__acl_copy(const char *path, int from, int to, mode_t mode) {
#if defined(__linux__)
  static const char name[] = "system.posix_acl_access";
  char acl[4096];
  ssize_t n = path != NULL ? getxattr(path, name, acl, sizeof acl)
                           : fgetxattr(from, name, acl, sizeof acl);
  if (n < 0 && errno != ERANGE)
    (void)fremovexattr(to, name); /* the folder may have given it one */
  else if (n < 0 || fsetxattr(to, name, acl, (size_t)n, 0) != 0)
    mode &= ~(mode_t)0070;
#else
  (void)path, (void)from, (void)to;
#endif
  return mode;
}

char *fs__temporary(const char *folder, size_t len, const char *prefix) {
  size_t size = len + strlen(prefix) + sizeof "/0123456789abcdef";
  uint64_t chance;
  char *made;
  if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance)
    return NULL;
  made = (char *)malloc(size);
  if (made != NULL)
    (void)snprintf(made, size, "%.*s%s%s%016llx", (int)len, folder,
                   len > 0 && folder[len - 1] != '/' ? "/" : "", prefix,
                   (unsigned long long)chance);
  return made;
}
