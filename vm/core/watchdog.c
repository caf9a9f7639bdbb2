/*
** watchdog.c - the thread that looks how long scripts run.
**
** C code cannot be interrupted by another thread, nor may that set a hook;
** but a signal handler on the VM's own thread may. So one thread for the
** process looks, every half slice, whether a VM is still in the step it was
** in the last time. One that has had its slice is told by a signal to its
** thread; the handler puts the hook there. A step that does not last costs
** a store, and in loop.c a look at the clock. The thread sleeps while no VM
** runs, and ends with the last watched one.
**
** This is the one thing in Neap that does not hang off a VM: signal
** handlers belong to the process.
*/
#define _GNU_SOURCE /* pthread_sigqueue */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "vm.h"

#define QUIET_LOOKS 20        /* without a VM that runs: then it sleeps */
#define SHORTEST 1000000u     /* ns between two looks */
#define SIGNALS 65

static struct {
  uv_mutex_t life;     /* who begins or ends the thread has it, then: */
  uv_mutex_t lock;     /* for all but `asleep` */
  uv_cond_t changed;   /* something to watch, or the end */
  uv_thread_t thread;
  neap__watched *first;
  _Atomic int asleep;
  int ending;
  int usable;          /* the locks and `changed` are */
  struct {
    int users;
    struct sigaction old;
  } handlers[SIGNALS];
} dog;

static uv_once_t once = UV_ONCE_INIT;

/* The VM that runs on this thread. Initial-exec: a signal handler may read
   it, as no memory is allocated for it when it is first used. */
static _Thread_local neap_vm *volatile runs_here
    __attribute__((tls_model("initial-exec")));

static _Thread_local volatile int forwards
    __attribute__((tls_model("initial-exec")));

/* {======================================================
** The signal
** ======================================================= */

static void on_signal(int number, siginfo_t *info, void *context) {
  int before = errno;
  neap_vm *vm = runs_here;
  const struct sigaction *old = &dog.handlers[number].old;
  if (vm != NULL)
    neap__limits_signal(vm);
  if ((info->si_code != SI_QUEUE || info->si_value.sival_ptr != &dog) &&
      !forwards) { /* the host's handler may call the one before: this */
    forwards = 1;
    if (old->sa_flags & SA_SIGINFO) /* it is not ours */
      old->sa_sigaction(number, info, context);
    else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
      old->sa_handler(number);
    forwards = 0;
  }
  errno = before;
}

/* Should it fail, with too many on their way, there is a next time. */
static void notify(const neap__watched *w) {
  union sigval value;
  value.sival_ptr = &dog;
  (void)pthread_sigqueue(w->thread, w->signal, value);
}

/* Sees to it that the signal reaches this thread, the VM's. */
static int install(int number) {
  struct sigaction action;
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, number);
  (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  if (dog.handlers[number].users > 0) {
    dog.handlers[number].users++;
    return 0;
  }
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  (void)sigemptyset(&action.sa_mask);
  if (sigaction(number, &action, &dog.handlers[number].old) != 0)
    return -1;
  dog.handlers[number].users = 1;
  return 0;
}

/* Puts the old handler back, unless the host has put another one there. None
   of our signals is on its way: it would have come to this thread before. */
static void uninstall(int number) {
  struct sigaction now;
  if (--dog.handlers[number].users > 0 || sigaction(number, NULL, &now) != 0)
    return;
  if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_signal)
    (void)sigaction(number, &dog.handlers[number].old, NULL);
}

/* ====================================================== } */

/* {======================================================
** The thread
** ======================================================= */

/* Looks at one; whether it runs. */
static int look(neap__watched *w, uint64_t now) {
  uint32_t serial = atomic_load(&w->serial);
  if (serial % 2 == 0)
    return 0;
  if (serial != w->seen) {
    w->seen = serial;
    w->seen_at = now;
  }
  else if (now - w->seen_at >= w->slice) {
    atomic_store(&w->over, serial);
    notify(w);
    w->seen_at = now; /* once a slice, should the first have gone astray */
  }
  return 1;
}

static void watch(void *unused) {
  int quiet = 0;
  (void)unused;
  uv_mutex_lock(&dog.lock);
  while (!dog.ending) {
    uint64_t now = uv_hrtime(), period = UINT64_MAX;
    neap__watched *w;
    int running = 0;
    for (w = dog.first; w != NULL; w = w->next) {
      running += look(w, now);
      if (w->slice / 2 < period)
        period = w->slice / 2;
    }
    quiet = running > 0 ? 0 : quiet + 1;
    if (quiet <= QUIET_LOOKS) {
      atomic_store(&dog.asleep, 0);
      (void)uv_cond_timedwait(&dog.changed, &dog.lock,
                              period < SHORTEST ? SHORTEST : period);
    }
    else if (!atomic_load(&dog.asleep))
      atomic_store(&dog.asleep, 1); /* then looks once more: see below */
    else {
      uv_cond_wait(&dog.changed, &dog.lock);
      quiet = 0;
    }
  }
  uv_mutex_unlock(&dog.lock);
}

/* Who runs stores its serial, then reads `asleep`; the thread stores that,
   then reads the serials: one of them sees the other. */
neap_vm *neap__watchdog_run(neap_vm *vm) {
  neap_vm *before = runs_here;
  runs_here = vm;
  if (vm != NULL && atomic_load(&dog.asleep)) {
    uv_mutex_lock(&dog.lock);
    atomic_store(&dog.asleep, 0);
    uv_cond_signal(&dog.changed);
    uv_mutex_unlock(&dog.lock);
  }
  return before;
}

void neap__watchdog_signal(const neap__watched *w) { notify(w); }

void neap__watchdog_set(neap__watched *w, uint64_t slice) {
  uv_mutex_lock(&dog.lock);
  w->slice = slice;
  uv_mutex_unlock(&dog.lock);
}

/* The thread takes no signals: they are the host's. */
static int start_thread(void) {
  sigset_t all, before;
  int status;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  status = uv_thread_create(&dog.thread, watch, NULL);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}

static void init(void) {
  dog.usable = uv_mutex_init(&dog.life) == 0 &&
               uv_mutex_init(&dog.lock) == 0 &&
               uv_cond_init(&dog.changed) == 0;
}

int neap__watchdog_add(neap__watched *w) {
  int status = NEAP_ELOOP;
  uv_once(&once, init);
  if (!dog.usable)
    return status;
  uv_mutex_lock(&dog.life);
  uv_mutex_lock(&dog.lock);
  if (w->signal > 0 && w->signal < SIGNALS && install(w->signal) == 0) {
    dog.ending = 0;
    if (dog.first != NULL || start_thread() == 0) {
      w->previous = NULL;
      w->next = dog.first;
      if (w->next != NULL)
        w->next->previous = w;
      dog.first = w;
      status = NEAP_OK;
    }
    else
      uninstall(w->signal);
  }
  uv_mutex_unlock(&dog.lock);
  uv_mutex_unlock(&dog.life);
  return status;
}

void neap__watchdog_remove(neap__watched *w) {
  int last;
  uv_mutex_lock(&dog.life);
  uv_mutex_lock(&dog.lock);
  if (w->previous != NULL)
    w->previous->next = w->next;
  else
    dog.first = w->next;
  if (w->next != NULL)
    w->next->previous = w->previous;
  uninstall(w->signal);
  last = dog.first == NULL;
  dog.ending = last;
  uv_cond_signal(&dog.changed);
  uv_mutex_unlock(&dog.lock);
  if (last)
    (void)uv_thread_join(&dog.thread);
  uv_mutex_unlock(&dog.life);
}

/* ====================================================== } */
