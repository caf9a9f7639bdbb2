/*
** load.c - starts a server, which prints its port and sends back what it gets,
** and measures what it costs.
** usage: load KIND N COMMAND...
**   echo     N messages of 64 bytes over 64 connections: us of the server each
**   stream   N times 1 MiB there and back over 4 connections: us each
**   accept   N connections, each for one message of 64 bytes: us each
**   idle     N connections, each after one message: bytes of resident memory
** The time is processor time of the server, the system's share included. Both
** run on the processor that they are pinned to. What comes back is counted, and
** of messages compared. The load runs as a batch job: it does not take the
** processor from the server in the middle of its turn, which would cost the
** server as many switches as the scheduler likes.
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { MESSAGE = 64, TOGETHER = 64, STREAMS = 4, MIB = 1 << 20, PIECE = 65536 };

static pid_t server;
static int port;
static int epoll;
static char bytes[PIECE];

static void stop_server(void) {
  if (server > 0) {
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
  }
}

static void give_up(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  stop_server();
  exit(1);
}

static void start_server(char **command) {
  const struct sched_param none = {0};
  int fds[2];
  FILE *output;
  if (pipe(fds) != 0 || (server = fork()) < 0)
    give_up("fork");
  if (server == 0) {
    if (dup2(fds[1], 1) == 1 && close(fds[0]) == 0)
      execvp(command[0], command);
    _exit(127);
  }
  close(fds[1]);
  if (sched_setscheduler(0, SCHED_BATCH, &none) != 0)
    give_up("sched_setscheduler");
  output = fdopen(fds[0], "r");
  if (output == NULL || fscanf(output, "%d", &port) != 1)
    give_up("the server does not start");
}

/* seconds of processor time that the server has used */
static double server_time(void) {
  clockid_t clock;
  struct timespec now;
  if (clock_getcpuclockid(server, &clock) != 0 ||
      clock_gettime(clock, &now) != 0)
    give_up("the server's clock");
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* bytes of memory that it has resident */
static double server_memory(void) {
  char name[64], line[256];
  double kib = -1;
  FILE *file;
  snprintf(name, sizeof name, "/proc/%d/status", (int)server);
  if ((file = fopen(name, "r")) == NULL)
    give_up(name);
  while (kib < 0 && fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, "VmRSS:", 6) == 0)
      kib = atof(line + 6);
  fclose(file);
  return kib * 1024;
}

/* A connection. The 10,000 of one address would not be enough for `accept`:
   closed ones keep their ports for a minute. */
static int connection(int i) {
  struct sockaddr_in name = {.sin_family = AF_INET};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    give_up("socket");
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (unsigned)i % 100);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&name, sizeof name) != 0)
    give_up("bind");
  name.sin_port = htons((uint16_t)port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, (struct sockaddr *)&name, sizeof name) != 0)
    give_up("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void put(int fd, size_t n) {
  if (write(fd, bytes, n) != (ssize_t)n)
    give_up("write");
}

/* Reads the message that comes back. */
static void get(int fd) {
  char back[MESSAGE];
  size_t got = 0;
  while (got < sizeof back) {
    ssize_t n = read(fd, back + got, sizeof back - got);
    if (n <= 0)
      give_up("read");
    got += (size_t)n;
  }
  if (memcmp(back, bytes, sizeof back) != 0)
    give_up("the message comes back changed");
}

static void watch(int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
    give_up("epoll_ctl");
}

static void echo(long n) {
  struct epoll_event events[TOGETHER];
  long sent = TOGETHER, got = 0;
  int i, ready, fd;
  for (i = 0; i < TOGETHER; i++) {
    watch(fd = connection(i), EPOLLIN);
    put(fd, MESSAGE);
  }
  while (got < n) {
    if ((ready = epoll_wait(epoll, events, TOGETHER, -1)) < 0)
      give_up("epoll_wait");
    for (i = 0; i < ready; i++) {
      get(events[i].data.fd);
      got++;
      if (sent++ < n)
        put(events[i].data.fd, MESSAGE);
    }
  }
}

/* Each connection sends and receives its share of the bytes. */
static void stream(long n) {
  static char back[PIECE];
  long long to_send[1024] = {0}, total = (long long)n * MIB, got = 0;
  struct epoll_event events[STREAMS];
  int i, ready, fd;
  for (i = 0; i < STREAMS; i++) {
    fd = connection(i);
    if (fd >= 1024 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
      give_up("fcntl");
    to_send[fd] = total / STREAMS;
    watch(fd, EPOLLIN | EPOLLOUT);
  }
  while (got < total / STREAMS * STREAMS) {
    if ((ready = epoll_wait(epoll, events, STREAMS, -1)) < 0)
      give_up("epoll_wait");
    for (i = 0; i < ready; i++) {
      ssize_t moved;
      fd = events[i].data.fd;
      if (events[i].events & EPOLLIN) {
        if ((moved = read(fd, back, sizeof back)) <= 0)
          give_up("read");
        got += moved;
      }
      if (events[i].events & EPOLLOUT && to_send[fd] > 0) {
        size_t most = to_send[fd] < PIECE ? (size_t)to_send[fd] : PIECE;
        if ((moved = write(fd, bytes, most)) < 0 && errno != EAGAIN)
          give_up("write");
        to_send[fd] -= moved > 0 ? moved : 0;
        if (to_send[fd] == 0) {
          struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
          epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
        }
      }
    }
  }
}

static void accepts(long n) {
  int fds[TOGETHER], i;
  for (; n > 0; n -= TOGETHER) {
    for (i = 0; i < TOGETHER; i++)
      put(fds[i] = connection(i), MESSAGE);
    for (i = 0; i < TOGETHER; i++) {
      get(fds[i]);
      close(fds[i]);
    }
  }
}

static void idle(long n) {
  int i, fd;
  for (i = 0; i < n; i++) {
    put(fd = connection(i), MESSAGE);
    get(fd);
  }
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(long n);
    long warm_up;
  } kinds[] = {{"echo", echo, 20000},
               {"stream", stream, 100},
               {"accept", accepts, 640},
               {"idle", idle, 100}};
  const long n = argc > 3 ? atol(argv[2]) : 0;
  struct rlimit files;
  double time, memory;
  size_t i;
  for (i = 0; i < PIECE; i++)
    bytes[i] = (char)(i * 7);
  if (n > 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    start_server(argv + 3);
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
      if (strcmp(argv[1], kinds[i].name) == 0) {
        kinds[i].run(kinds[i].warm_up);
        memory = server_memory();
        time = server_time();
        kinds[i].run(n);
        if (kinds[i].run == idle)
          printf("%.0f\n", (server_memory() - memory) / (double)n);
        else
          printf("%g\n", (server_time() - time) / (double)n * 1e6);
        stop_server();
        return 0;
      }
    stop_server();
  }
  fprintf(stderr, "usage: load echo|stream|accept|idle N COMMAND...\n");
  return 1;
}
