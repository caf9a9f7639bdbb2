/*
** turn.c - turns of the VM's loop, and between them poll(2) for input and
** signals.
**
** A signal's handler writes its number to a pipe, which poll looks at, too:
** so none is missed. Ctrl-C is to reach the one who waits (for a line, or a
** task that was typed), and not whatever task happens to run just then.
** Therefore the handler lets the VM alone, but starts a timer: if nobody has
** read the pipe when that rings, a step spins, and is interrupted; and again
** at each ring after that, as it may catch the error. Only scripts are: the
** program's own Lua goes on.
**
** C code, and Lua's finalizers, cannot be interrupted. What has not heeded it
** for a second is ended by the next Ctrl-C with the whole program, as in lua;
** SIGTERM and SIGHUP do not wait for another.
*/
#define _GNU_SOURCE /* pipe2 */

#include "turn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define GRACE 100000000 /* ns that a step may go on after Ctrl-C */
#define MOST_RINGS 10 /* of the timer, until nobody is waited for */
#define TURN 1000 /* us of turns between two looks at input */
#define PATIENCE 10000000 /* ns that input may keep the VM waiting */

/* A signal handler has no other way to find these. */
static struct {
  neap_vm *volatile vm;
  pthread_t thread;
  int pipe[2]; /* the numbers of signals */
  timer_t timer;
  volatile sig_atomic_t asked; /* one that ends a step is in the pipe, */
  volatile sig_atomic_t ending; /* and one that ends the program: its number */
  volatile sig_atomic_t rings; /* so often the timer has rung since then */
  volatile sig_atomic_t in_script; /* a script runs */
  volatile sig_atomic_t stopped_step; /* it was interrupted */
  volatile sig_atomic_t editing; /* the terminal is the editor's; */
  struct termios terminal; /* as it was before */
} here = {.pipe = {-1, -1}};

static int backend = -1; /* the VM's, when it has a loop */
static uint64_t last_turn; /* when it ended */

static const int kept[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGWINCH};
#define NKEPT ((int)(sizeof kept / sizeof kept[0]))

static void ring(long ns) {
  struct itimerspec when = {{0, ns}, {0, ns}};
  (void)timer_settime(here.timer, 0, &when, NULL); /* both are valid */
}

/* Is a step that goes on for long interrupted for it? */
static int stops_step(int sig) {
  return sig == SIGINT || sig == SIGTERM || sig == SIGHUP;
}

/* The signal does what it does without our handler, when that has returned. */
static void give_in(int sig) {
  (void)signal(sig, SIG_DFL);
  if (here.editing)
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &here.terminal);
  (void)raise(sig);
}

/* Somebody has asked, and nobody has read the pipe yet. */
static void on_ring(void) {
  if (here.rings < MOST_RINGS)
    here.rings++;
  else if (here.ending != 0)
    give_in(here.ending);
  if (here.in_script) {
    here.stopped_step = 1;
    (void)neap_interrupt(here.vm);
  }
}

static void on_signal(int sig, siginfo_t *info, void *context) {
  int saved_errno = errno; /* of the code that was interrupted */
  (void)context;
  if (!pthread_equal(pthread_self(), here.thread)) {
    if (info->si_code != SI_TIMER)
      (void)pthread_kill(here.thread, sig);
  } else if (sig == SIGINT && info->si_code == SI_TIMER) {
    if (here.asked)
      on_ring();
  } else if (sig == SIGQUIT) {
    (void)neap_dump(here.vm);
  } else if (stops_step(sig) && here.rings == MOST_RINGS) {
    give_in(sig);
  } else {
    unsigned char number = (unsigned char)sig;
    /* if the pipe is full, there are signals enough to look at */
    if (write(here.pipe[1], &number, 1) == 1 && stops_step(sig)) {
      if (sig != SIGINT)
        here.ending = sig;
      here.asked = 1;
      if (here.rings == 0)
        ring(GRACE);
    }
  }
  errno = saved_errno;
}

/* Puts our handler where there is none. */
static void keep(int sig) {
  struct sigaction action;
  if (sigaction(sig, NULL, &action) != 0 || (action.sa_flags & SA_SIGINFO) ||
      action.sa_handler != SIG_DFL)
    return;
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO; /* a read that blocks is to end */
  if (sig == SIGWINCH || sig == SIGQUIT)
    action.sa_flags |= SA_RESTART;
  sigemptyset(&action.sa_mask);
  (void)sigaction(sig, &action, NULL); /* a valid signal: cannot fail */
}

static void let_go(int sig) {
  struct sigaction action;
  if (sigaction(sig, NULL, &action) != 0 ||
      !(action.sa_flags & SA_SIGINFO) || action.sa_sigaction != on_signal)
    return;
  action.sa_handler = SIG_DFL;
  action.sa_flags = 0;
  (void)sigaction(sig, &action, NULL);
}

/* A timer that rings by a signal; false: there is none to be had. */
static int make_timer(timer_t *timer, int sig) {
  struct sigevent event = {0};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = sig;
  return timer_create(CLOCK_MONOTONIC, &event, timer) == 0;
}

static int open_pipe(void) {
  if (here.pipe[0] >= 0)
    return 0;
  if (pipe2(here.pipe, O_CLOEXEC | O_NONBLOCK) != 0)
    return -1;
  if (make_timer(&here.timer, SIGINT))
    return 0;
  (void)close(here.pipe[0]);
  (void)close(here.pipe[1]);
  here.pipe[0] = here.pipe[1] = -1;
  return -1;
}

int neap__turn_open(neap__runner *runner) {
  int i;
  if (open_pipe() != 0)
    return -1;
  here.vm = runner->vm;
  here.thread = pthread_self();
  for (i = 0; i < NKEPT; i++)
    keep(kept[i]);
  return 0;
}

static void ring_at_end(int sig) {
  const struct itimerspec second = {.it_value = {1, 0}};
  timer_t timer;
  if (make_timer(&timer, sig))
    (void)timer_settime(timer, 0, &second, NULL); /* it is valid */
}

void neap__turn_close(const neap__runner *runner) {
  int i;
  if (here.pipe[0] < 0)
    return;
  (void)timer_delete(here.timer); /* it is not to ring without our handler */
  for (i = 0; i < NKEPT; i++)
    let_go(kept[i]);
  let_go(SIGTSTP);
  (void)close(here.pipe[0]);
  (void)close(here.pipe[1]);
  here.pipe[0] = here.pipe[1] = -1;
  if (runner->signal != 0)
    ring_at_end(runner->signal);
}

void neap__turn_editing(int editing) {
  here.editing = editing && tcgetattr(STDIN_FILENO, &here.terminal) == 0;
  if (editing)
    keep(SIGTSTP);
  else
    let_go(SIGTSTP);
}

/* The next signal in the pipe; 0: none that counts. */
static int next_signal(void) {
  unsigned char number;
  int counts;
  if (read(here.pipe[0], &number, 1) != 1)
    return 0;
  if (!stops_step(number))
    return number;
  counts = number != SIGINT || (here.asked && !here.stopped_step);
  neap__turn_forget();
  return counts ? number : 0;
}

/* The pipe keeps its bytes, as there may be other signals among them. */
void neap__turn_forget(void) {
  here.asked = 0;
  here.ending = 0;
  here.rings = 0;
  here.stopped_step = 0;
  ring(0);
}

static int do_nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* Scripts run now, or not. An interrupt that has found none to stop ends this
   call, and nothing of ours. */
static void set_in_script(neap_vm *vm, int in_script) {
  lua_State *L = neap_lua(vm);
  here.in_script = in_script;
  if (in_script || !here.stopped_step)
    return;
  lua_pushcfunction(L, do_nothing);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

int neap__turn_call(neap__runner *runner, lua_State *L, int narg, int nres) {
  int status;
  set_in_script(runner->vm, 1);
  status = lua_pcall(L, narg, nres, 0);
  set_in_script(runner->vm, 0);
  return status;
}

/* The descriptor of the VM's loop, once there is something on it. */
static int backend_of(neap_vm *vm) {
  if (backend < 0 && neap_alive(vm))
    backend = neap_backend_fd(vm);
  return backend;
}

/* Has a script asked for the end: process.exit, in a task that nobody awaits;
   or was a task interrupted that catches errors? */
static void look_for_end(neap__runner *runner) {
  neap_error_info info;
  neap_error(runner->vm, &info);
  if (info.code != NEAP_EINTR)
    return;
  runner->exits = info.exit_code >= 0;
  if (runner->exits)
    runner->status = info.exit_code;
  else
    neap__chunk_message(NULL, info.message);
  (void)neap_cancel(runner->vm, 0, NULL); /* fails: that is the last error now,
                                             and this one is told once */
}

static void tick(neap__runner *runner) {
  int status;
  if (backend < 0)
    return;
  set_in_script(runner->vm, 1);
  status = neap_tick(runner->vm, TURN);
  set_in_script(runner->vm, 0);
  if (status == NEAP_ENOMEM)
    (void)poll(NULL, 0, 1); /* what is ready may find some later */
  look_for_end(runner);
  last_turn = uv_hrtime();
}

int neap__turn(neap__runner *runner, int fd, int ms) {
  neap_vm *vm = runner->vm;
  struct pollfd fds[3] = {
    {here.pipe[0], POLLIN, 0}, {fd, POLLIN, 0}, {backend_of(vm), POLLIN, 0}
  };
  int n, timeout = backend < 0 ? -1 : neap_backend_timeout(vm);
  if (ms >= 0 && (timeout < 0 || ms < timeout))
    timeout = ms;
  n = poll(fds, 3, timeout);
  if (n > 0 && fds[0].revents != 0)
    return next_signal();
  if (n > 0 && fds[1].revents != 0) {
    if (uv_hrtime() - last_turn > PATIENCE)
      tick(runner);
    return NEAP__INPUT;
  }
  tick(runner);
  return 0;
}
