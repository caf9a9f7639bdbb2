/*
** port.c - tests ports: functions that other threads post to a VM, its kill
** from there, and what becomes of both when the VM closes.
*/
#include <poll.h>

#include "threads.h"

/* What is posted. */
typedef struct parcel {
  neap_vm *vm;        /* that f was called with */
  uv_thread_t thread; /* that it was called on */
  int calls;          /* of f */
  int disposals;
  int calls_then;     /* `calls` at the disposal */
} parcel;

static void receive(neap_vm *vm, void *payload) {
  parcel *p = payload;
  p->vm = vm;
  p->thread = uv_thread_self();
  p->calls++;
}

static void dispose(void *payload) {
  parcel *p = payload;
  p->disposals++;
  p->calls_then = p->calls;
}

static neap_port *open_port(neap_vm *vm) {
  neap_port *port;
  assert_int_equal(neap_port_open(vm, &port), NEAP_OK);
  assert_non_null(port);
  return port;
}

/* An errand of another thread. */
typedef struct errand {
  neap_port *port;
  parcel *parcel;
  int status; /* what was returned there */
} errand;

static void post_parcel(void *ud) {
  errand *e = ud;
  e->status = neap_post(e->port, receive, e->parcel, dispose);
}

/* {======================================================
** Posting
** ======================================================= */

static void a_post_of_another_thread_runs_on_the_vms(void **state) {
  neap_vm *vm = new_vm(NULL);
  parcel p = {0};
  errand e = {open_port(vm), &p, 1};
  uv_thread_t self = uv_thread_self();
  (void)state;
  elsewhere(post_parcel, &e);
  assert_int_equal(e.status, NEAP_OK);
  assert_int_equal(p.calls, 0);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(p.calls, 1);
  assert_ptr_equal(p.vm, vm);
  assert_true(uv_thread_equal(&p.thread, &self));
  assert_int_equal(p.disposals, 1);
  assert_int_equal(p.calls_then, 1);
  neap_port_release(e.port);
  close_vm(vm);
}

static void a_post_of_the_vms_own_thread_runs_when_the_loop_does(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_port *port = open_port(vm);
  parcel p = {0};
  (void)state;
  assert_int_equal(neap_post(port, receive, &p, NULL), NEAP_OK);
  assert_int_equal(p.calls, 0);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(p.calls, 1);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(p.calls, 1);
  neap_port_release(port);
  close_vm(vm);
}

static void stop_loop(neap_vm *vm, void *payload) {
  parcel *p = payload;
  p->calls++;
  assert_int_equal(neap_stop(vm), NEAP_OK);
}

static void post_stop(void *ud) {
  errand *e = ud;
  e->status = neap_post(e->port, stop_loop, e->parcel, NULL);
}

/* Tasks that only pass turns never make the loop look into the kernel. */
static void a_post_reaches_a_vm_whose_tasks_do_not_rest(void **state) {
  neap_vm *vm = new_vm(NULL);
  parcel p = {0};
  errand e = {open_port(vm), &p, 1};
  uv_thread_t thread;
  (void)state;
  spawn(vm, "while true do await(sleep(0)) end", NULL, NULL);
  thread_start(&thread, post_stop, &e);
  assert_int_equal(neap_run(vm), NEAP_OK);
  thread_join(&thread);
  assert_int_equal(p.calls, 1);
  neap_port_release(e.port);
  close_vm(vm);
}

#define SENDERS 4
#define EACH 2000

/* What the threads send goes through here. */
typedef struct sender {
  neap_port *port;
  struct tally *tally;
  int number;
} sender;

typedef struct tally {
  int next[SENDERS]; /* the number that the next post of each has to have */
  int wrong;         /* posts that had another one */
  int disposals;
  int left;          /* posts to come, before */
  gate gate;         /* is opened */
} tally;

typedef struct letter {
  tally *tally;
  int sender;
  int number;
} letter;

static void letter_comes(neap_vm *vm, void *payload) {
  letter *l = payload;
  (void)vm;
  l->tally->wrong += l->tally->next[l->sender]++ != l->number;
  if (--l->tally->left == 0)
    gate_open(&l->tally->gate);
}

static void letter_free(void *payload) {
  letter *l = payload;
  l->tally->disposals++;
  free(l);
}

static void send_letters(void *ud) {
  sender *s = ud;
  for (int i = 0; i < EACH; i++) {
    letter *l = malloc(sizeof *l);
    if (l == NULL)
      abort();
    *l = (letter){s->tally, s->number, i};
    if (neap_post(s->port, letter_comes, l, letter_free) != NEAP_OK)
      abort();
  }
  neap_port_release(s->port);
}

static void posts_of_each_thread_keep_their_order_and_none_is_lost(
    void **state) {
  neap_vm *vm = new_vm(NULL);
  tally t = {.left = SENDERS * EACH};
  uv_thread_t threads[SENDERS];
  sender senders[SENDERS];
  int count = 0;
  (void)state;
  add_gate(vm, &t.gate);
  spawn(vm, "await(gate())", succeeded, &count);
  assert_true(neap_tick(vm, 0) >= 0); /* the promise is open */
  for (int i = 0; i < SENDERS; i++) {
    senders[i] = (sender){open_port(vm), &t, i};
    thread_start(&threads[i], send_letters, &senders[i]);
  }
  assert_int_equal(neap_run(vm), NEAP_OK);
  for (int i = 0; i < SENDERS; i++)
    thread_join(&threads[i]);
  assert_int_equal(count, 1);
  assert_int_equal(t.wrong, 0);
  assert_int_equal(t.disposals, SENDERS * EACH);
  close_vm(vm);
}

/* A port that posts to itself so many times. */
typedef struct echo {
  neap_port *port;
  int left;
  int calls;
} echo;

static void resound(neap_vm *vm, void *payload) {
  echo *e = payload;
  (void)vm;
  e->calls++;
  if (e->left-- > 0)
    assert_int_equal(neap_post(e->port, resound, e, NULL), NEAP_OK);
}

static void a_post_may_post(void **state) {
  neap_vm *vm = new_vm(NULL);
  echo e = {open_port(vm), 100, 0};
  (void)state;
  resound(vm, &e);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(e.calls, 101);
  neap_port_release(e.port);
  close_vm(vm);
}

static void use_vm(neap_vm *vm, void *payload) {
  int *sum = payload;
  neap_value add, args[2], result;
  args[0] = neap_integer(*sum);
  args[1] = neap_integer(1);
  assert_int_equal(neap_get(vm, "add", &add), NEAP_OK);
  assert_int_equal(neap_call(vm, &add, args, 2, &result, 1, 0), NEAP_OK);
  assert_int_equal(result.type, NEAP_INTEGER);
  *sum = (int)result.as.integer;
}

static void a_post_may_use_the_vm(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_port *port = open_port(vm);
  int sum = 0;
  (void)state;
  run_script(vm, "function add(a, b) return a + b end");
  for (int i = 0; i < 1000; i++)
    assert_int_equal(neap_post(port, use_vm, &sum, NULL), NEAP_OK);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(sum, 1000);
  neap_port_release(port);
  close_vm(vm);
}

static void start_task(neap_vm *vm, void *payload) {
  spawn(vm, "await(sleep(0.001))", succeeded, payload);
}

static void a_post_may_start_a_task(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_port *port = open_port(vm);
  int count = 0;
  (void)state;
  assert_int_equal(neap_post(port, start_task, &count, NULL), NEAP_OK);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(count, 1);
  neap_port_release(port);
  close_vm(vm);
}

static int post_now(neap_frame *frame, void *ud) {
  errand *e = ud;
  (void)frame;
  e->status = neap_post(e->port, receive, e->parcel, dispose);
  return NEAP_OK;
}

/* Its last step posts; the queues of the run are emptied. */
static void the_end_of_a_scripts_run_loses_no_post(void **state) {
  neap_vm *vm = new_vm(NULL);
  parcel p = {0};
  errand e = {open_port(vm), &p, 1};
  (void)state;
  assert_int_equal(neap_register(vm, "post", post_now, &e), NEAP_OK);
  run_lua(vm, "run(async(function() await(sleep(0)) post() end)())");
  assert_int_equal(e.status, NEAP_OK);
  if (p.calls == 0)
    assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(p.calls, 1);
  assert_int_equal(p.disposals, 1);
  neap_port_release(e.port);
  close_vm(vm);
}

static void a_port_is_held_by_all_who_opened_or_retained_it(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_port *first = open_port(vm), *second = open_port(vm);
  parcel p = {0};
  (void)state;
  neap_port_retain(first);
  neap_port_release(first);
  neap_port_release(first);
  assert_int_equal(neap_post(second, receive, &p, NULL), NEAP_OK);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(p.calls, 1);
  close_vm(vm);
  assert_int_equal(neap_post(second, receive, &p, NULL), NEAP_ECLOSED);
  neap_port_release(second);
}

typedef struct attempt {
  neap_vm *vm;
  neap_port *port;
  int status;
} attempt;

static void try_to_open(void *ud) {
  attempt *a = ud;
  a->status = neap_port_open(a->vm, &a->port);
}

static void only_the_vms_thread_opens_its_port(void **state) {
  attempt a = {new_vm(NULL), (neap_port *)1, 0};
  (void)state;
  elsewhere(try_to_open, &a);
  assert_int_equal(a.status, NEAP_ETHREAD);
  assert_null(a.port);
  close_vm(a.vm);
}

/* ====================================================== } */

/* {======================================================
** Wakeups
** ======================================================= */

static void a_post_makes_the_descriptor_readable(void **state) {
  neap_vm *vm = new_vm(NULL);
  parcel p = {0};
  errand e = {open_port(vm), &p, 1};
  struct pollfd fd = {.fd = neap_backend_fd(vm), .events = POLLIN};
  uv_thread_t thread;
  (void)state;
  assert_true(fd.fd >= 0);
  assert_int_equal(neap_tick(vm, 0), 0);
  thread_start(&thread, post_parcel, &e);
  while (p.calls == 0) {
    assert_int_equal(poll(&fd, 1, -1), 1);
    assert_true(neap_tick(vm, 0) >= 0);
  }
  thread_join(&thread);
  neap_port_release(e.port);
  close_vm(vm);
}

/* A poll takes the wakeup, but not the post. */
static void a_post_is_something_to_do_until_it_is_taken(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_port *port = open_port(vm);
  parcel p = {0};
  (void)state;
  assert_false(neap_alive(vm));
  assert_int_equal(neap_post(port, receive, &p, NULL), NEAP_OK);
  assert_true(neap_backend_fd(vm) >= 0); /* polls */
  assert_int_equal(neap_backend_timeout(vm), 0);
  assert_true(neap_alive(vm));
  assert_int_equal(neap_tick(vm, 0), 0);
  assert_int_equal(p.calls, 1);
  assert_int_equal(neap_backend_timeout(vm), -1);
  assert_false(neap_alive(vm));
  neap_port_release(port);
  close_vm(vm);
}

/* Counts, and posts the first time, as nobody may who has the port's lock. */
typedef struct doorbell {
  neap_port *port;
  parcel parcel;
  atomic_int rings;
  atomic_int closed; /* nobody may ring any more */
  atomic_int late;   /* who did */
} doorbell;

static void ring(void *ud) {
  doorbell *d = ud;
  d->late += d->closed;
  if (d->rings++ == 0)
    assert_int_equal(neap_post(d->port, receive, &d->parcel, NULL), NEAP_OK);
}

static void no_more_rings(void *ud) {
  doorbell *d = ud;
  d->closed = 1;
}

static neap_vm *new_vm_with(doorbell *d) {
  neap_config config;
  neap_vm *vm;
  memset(d, 0, sizeof *d);
  neap_config_init(&config);
  config.wakeup = ring;
  config.wakeup_ud = d;
  vm = new_vm(&config);
  d->port = open_port(vm);
  return vm;
}

static void a_post_calls_the_wakeup_of_the_configuration(void **state) {
  doorbell d;
  neap_vm *vm = new_vm_with(&d);
  parcel p = {0};
  errand e = {d.port, &p, 1};
  (void)state;
  elsewhere(post_parcel, &e);
  assert_int_equal(e.status, NEAP_OK);
  assert_int_equal(d.rings, 1); /* one for all, until they are taken */
  while (neap_tick(vm, 0) == 1)
    ;
  assert_int_equal(p.calls, 1);
  assert_int_equal(d.parcel.calls, 1);
  elsewhere(post_parcel, &e);
  assert_int_equal(d.rings, 2);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(p.calls, 2);
  neap_port_release(d.port);
  close_vm(vm);
}

/* One that goes on until the VM is closed, and longer. */
typedef struct long_ring {
  neap_port *port;
  parcel parcel;
  uv_sem_t begun;
  atomic_int over;
  int over_then; /* when all was closed */
} long_ring;

static void ring_long(void *ud) {
  long_ring *r = ud;
  uv_sem_post(&r->begun);
  while (neap_post(r->port, receive, &r->parcel, NULL) == NEAP_OK)
    ;
  for (int i = 0; i < 1000; i++)
    sched_yield();
  r->over = 1;
}

static void note_over(void *ud) {
  long_ring *r = ud;
  r->over_then = r->over;
}

static void a_wakeup_that_has_begun_is_waited_for_by_the_close(void **state) {
  static long_ring r;
  parcel p = {0};
  errand e = {NULL, &p, 1};
  uv_thread_t thread;
  neap_config config;
  neap_vm *vm;
  (void)state;
  neap_config_init(&config);
  config.wakeup = ring_long;
  config.wakeup_ud = &r;
  vm = new_vm(&config);
  assert_int_equal(uv_sem_init(&r.begun, 0), 0);
  r.port = e.port = open_port(vm);
  thread_start(&thread, post_parcel, &e);
  uv_sem_wait(&r.begun);
  assert_int_equal(neap_close(vm, note_over, &r), NEAP_OK);
  assert_true(r.over_then);
  thread_join(&thread);
  uv_sem_destroy(&r.begun);
  neap_port_release(r.port);
}

static void post_until_closed(void *ud) {
  errand *e = ud;
  do
    e->status = neap_post(e->port, receive, e->parcel, NULL);
  while (e->status == NEAP_OK);
}

static void no_wakeup_comes_after_the_close(void **state) {
  uint64_t seed = first_seed();
  (void)state;
  for (int i = 0; i < 100; i++) {
    doorbell d;
    neap_vm *vm = new_vm_with(&d);
    parcel parcels[2] = {{0}, {0}};
    errand errands[2] = {{d.port, &parcels[0], 1}, {d.port, &parcels[1], 1}};
    uv_thread_t threads[2];
    d.rings = 1; /* it does not post */
    for (int k = 0; k < 2; k++)
      thread_start(&threads[k], post_until_closed, &errands[k]);
    for (unsigned turns = chance(&seed, 5); turns > 0; turns--)
      assert_true(neap_tick(vm, 0) >= 0);
    dawdle(&seed);
    assert_int_equal(neap_close(vm, no_more_rings, &d), NEAP_OK);
    for (int k = 0; k < 2; k++) {
      thread_join(&threads[k]);
      assert_int_equal(errands[k].status, NEAP_ECLOSED);
    }
    assert_int_equal(d.late, 0);
    neap_port_release(d.port);
  }
}

/* ====================================================== } */

/* {======================================================
** The end
** ======================================================= */

static void a_post_after_the_close_is_disposed_of_at_once(void **state) {
  neap_vm *vm = new_vm(NULL);
  parcel p = {0};
  errand e = {open_port(vm), &p, 1};
  (void)state;
  close_vm(vm);
  elsewhere(post_parcel, &e);
  assert_int_equal(e.status, NEAP_ECLOSED);
  assert_int_equal(p.calls, 0);
  assert_int_equal(p.disposals, 1);
  assert_int_equal(neap_post(e.port, receive, &p, NULL), NEAP_ECLOSED);
  assert_int_equal(neap_port_kill(e.port), NEAP_ECLOSED);
  neap_port_release(e.port);
}

static void a_post_that_has_not_run_is_disposed_of_by_the_close(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_port *port = open_port(vm);
  parcel p[3] = {{0}, {0}, {0}};
  (void)state;
  for (int i = 0; i < 3; i++)
    assert_int_equal(neap_post(port, receive, &p[i], i < 2 ? dispose : NULL),
                     NEAP_OK);
  neap_port_release(port);
  close_vm(vm);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(p[i].calls, 0);
    assert_int_equal(p[i].disposals, i < 2);
  }
}

/* Disposal by the close: who posts or opens then, is told. */
typedef struct last_try {
  neap_vm *vm;
  neap_port *port;
  parcel parcel;
  int posted, opened;
} last_try;

static void try_once_more(void *payload) {
  last_try *t = payload;
  neap_port *port;
  t->posted = neap_post(t->port, receive, &t->parcel, dispose);
  t->opened = neap_port_open(t->vm, &port);
}

static void the_vm_says_that_it_is_closed_while_it_closes(void **state) {
  last_try t = {.vm = new_vm(NULL)};
  (void)state;
  t.port = open_port(t.vm);
  assert_int_equal(neap_post(t.port, receive, &t, try_once_more), NEAP_OK);
  close_vm(t.vm);
  assert_int_equal(t.posted, NEAP_ECLOSED);
  assert_int_equal(t.opened, NEAP_ECLOSED);
  assert_int_equal(t.parcel.calls, 0);
  assert_int_equal(t.parcel.disposals, 1);
  neap_port_release(t.port);
}

static void posts_reach_a_vm_on_the_hosts_loop(void **state) {
  uv_loop_t loop;
  neap_vm *vm;
  tally t = {.left = EACH};
  uv_thread_t thread;
  sender s;
  int count = 0, closed = 0;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = vm_on(&loop, 0);
  add_gate(vm, &t.gate);
  spawn(vm, "await(gate())", succeeded, &count);
  while (t.gate.promise == NULL)
    uv_run(&loop, UV_RUN_NOWAIT);
  s = (sender){open_port(vm), &t, 0};
  thread_start(&thread, send_letters, &s);
  uv_run(&loop, UV_RUN_DEFAULT); /* until the gate has been opened */
  thread_join(&thread);
  assert_int_equal(count, 1);
  assert_int_equal(t.wrong, 0);
  assert_int_equal(t.disposals, EACH);
  assert_int_equal(neap_close(vm, set_flag, &closed), NEAP_OK);
  close_loop(&loop);
  assert_true(closed);
}

/* One payload of a race: what became of it. */
typedef struct stray {
  atomic_int calls;
  atomic_int disposals;
} stray;

#define STRAYS 64

typedef struct race {
  neap_port *port;
  atomic_int closed;
  atomic_int late;  /* calls after the close */
  uint64_t seed;
  int stop_at;      /* so many calls stop the loop */
  int calls;
} race;

/* A thread of it. */
typedef struct racer {
  race *race;
  uint64_t seed;
  stray strays[STRAYS];
} racer;

static race *running; /* the race; f has only the stray */

static void stray_comes(neap_vm *vm, void *payload) {
  stray *s = payload;
  s->calls++;
  running->late += running->closed;
  if (++running->calls == running->stop_at)
    neap_stop(vm);
}

static void stray_free(void *payload) {
  stray *s = payload;
  s->disposals++;
}

static void run_racer(void *ud) {
  racer *r = ud;
  for (int i = 0; i < STRAYS; i++) {
    dawdle(&r->seed);
    (void)neap_post(r->race->port, stray_comes, &r->strays[i], stray_free);
  }
}

static void posts_that_race_the_close_are_disposed_of_once(void **state) {
  uint64_t seed = first_seed();
  static racer racers[3];
  (void)state;
  for (int i = 0; i < 300; i++) {
    neap_vm *vm = new_vm(NULL);
    race r = {.port = open_port(vm)};
    uv_thread_t threads[3];
    running = &r;
    r.stop_at = 1 + (int)chance(&seed, 2 * STRAYS);
    spawn(vm, "while true do await(sleep(0)) end", NULL, NULL);
    for (int k = 0; k < 3; k++) {
      memset(&racers[k], 0, sizeof racers[k]);
      racers[k].race = &r;
      racers[k].seed = seed + (uint64_t)k + 1;
      thread_start(&threads[k], run_racer, &racers[k]);
    }
    assert_int_equal(neap_run(vm), NEAP_OK);
    dawdle(&seed);
    close_vm(vm);
    r.closed = 1;
    for (int k = 0; k < 3; k++)
      thread_join(&threads[k]);
    for (int k = 0; k < 3; k++) {
      for (int n = 0; n < STRAYS; n++) {
        assert_true(racers[k].strays[n].calls <= 1);
        assert_int_equal(racers[k].strays[n].disposals, 1);
      }
    }
    assert_int_equal(r.late, 0);
    neap_port_release(r.port);
  }
}

/* ====================================================== } */

/* {======================================================
** Killing
** ======================================================= */

static void kill_through(void *ud) {
  errand *e = ud;
  e->status = neap_port_kill(e->port);
}

static void check_killed(const char *code, const neap_config *config) {
  neap_vm *vm = new_vm(config);
  errand e = {open_port(vm), NULL, 1};
  uv_thread_t thread;
  int status = NEAP_OK;
  spawn(vm, code, note_status, &status);
  thread_start(&thread, kill_through, &e);
  (void)neap_run(vm);
  thread_join(&thread);
  assert_int_equal(e.status, NEAP_OK);
  assert_int_equal(status, NEAP_EKILLED);
  neap_port_release(e.port);
  close_vm(vm);
}

static void another_thread_kills_what_waits(void **state) {
  (void)state;
  check_killed("await(sleep(3600))", NULL);
}

static void another_thread_kills_what_only_passes_turns(void **state) {
  (void)state;
  check_killed("while true do await(sleep(0)) end", NULL);
}

/* It spins through malloc, where ThreadSanitizer lets signals in. */
static void another_thread_kills_what_spins_where_time_is_limited(
    void **state) {
  neap_config config;
  (void)state;
#if defined(__SANITIZE_THREAD__)
  skip(); /* it holds signals back, by which a script that spins is stopped */
#endif
  neap_config_init(&config);
  config.limits.deadline = 3600;
  check_killed("while true do local _ = ('x'):rep(2000) end", &config);
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_post_of_another_thread_runs_on_the_vms),
      cmocka_unit_test(a_post_of_the_vms_own_thread_runs_when_the_loop_does),
      cmocka_unit_test(a_post_reaches_a_vm_whose_tasks_do_not_rest),
      cmocka_unit_test(posts_of_each_thread_keep_their_order_and_none_is_lost),
      cmocka_unit_test(a_post_may_post),
      cmocka_unit_test(a_post_may_use_the_vm),
      cmocka_unit_test(a_post_may_start_a_task),
      cmocka_unit_test(the_end_of_a_scripts_run_loses_no_post),
      cmocka_unit_test(a_port_is_held_by_all_who_opened_or_retained_it),
      cmocka_unit_test(only_the_vms_thread_opens_its_port),
      cmocka_unit_test(a_post_makes_the_descriptor_readable),
      cmocka_unit_test(a_post_is_something_to_do_until_it_is_taken),
      cmocka_unit_test(a_post_calls_the_wakeup_of_the_configuration),
      cmocka_unit_test(a_wakeup_that_has_begun_is_waited_for_by_the_close),
      cmocka_unit_test(no_wakeup_comes_after_the_close),
      cmocka_unit_test(a_post_after_the_close_is_disposed_of_at_once),
      cmocka_unit_test(a_post_that_has_not_run_is_disposed_of_by_the_close),
      cmocka_unit_test(the_vm_says_that_it_is_closed_while_it_closes),
      cmocka_unit_test(posts_reach_a_vm_on_the_hosts_loop),
      cmocka_unit_test(posts_that_race_the_close_are_disposed_of_once),
      cmocka_unit_test(another_thread_kills_what_waits),
      cmocka_unit_test(another_thread_kills_what_only_passes_turns),
      cmocka_unit_test(another_thread_kills_what_spins_where_time_is_limited),
  };
  return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
