/*
** promise.c - tests native async functions: promises, which any thread
** settles. Work for the pool of threads: offload.c.
*/
#include "threads.h"

/* What the native function `wait` opens, one for each call. */
typedef struct order {
  neap_promise *promise;
  int cancelled;            /* calls of `cancel` */
  int on_cancel;            /* what a settle in it has returned */
  uv_thread_t thread;       /* that called it */
  void (*begin)(void *ud);  /* is called with the order; or NULL */
  uv_thread_t worker;       /* in which a test has it settled */
  int status;               /* that this has got */
} order;

static void order_cancelled(void *ud) {
  order *o = ud;
  o->cancelled++;
  o->thread = uv_thread_self();
}

static int order_wait(neap_frame *frame, void *ud) {
  order *o = ud;
  int status = neap_promise_open(frame, order_cancelled, o, &o->promise);
  if (status == NEAP_SUSPENDED && o->begin != NULL)
    o->begin(o);
  return status;
}

static neap_vm *new_vm_with(order *o, void (*begin)(void *ud)) {
  neap_vm *vm = new_vm(NULL);
  memset(o, 0, sizeof *o);
  o->begin = begin;
  assert_int_equal(neap_register_async(vm, "wait", order_wait, o), NEAP_OK);
  return vm;
}

static int settle_with(order *o, int n) {
  int status = neap_resolve(o->promise, (neap_value[]){neap_integer(n)}, 1);
  neap_promise_release(o->promise);
  return status;
}

static void resolve_42(void *ud) {
  order *o = ud;
  o->status = settle_with(o, 42);
}

static void on_another_thread(void *ud) {
  order *o = ud;
  thread_start(&o->worker, resolve_42, o);
}

/* Runs a script whose `wait` begins like that. */
static order check(void (*begin)(void *ud), const char *code) {
  order o;
  neap_vm *vm = new_vm_with(&o, begin);
  run_script(vm, code);
  if (begin == on_another_thread)
    thread_join(&o.worker);
  close_vm(vm);
  return o;
}

/* {======================================================
** Settling
** ======================================================= */

static void a_promise_is_resolved_by_another_thread(void **state) {
  order o = check(on_another_thread, "assert(await(wait()) == 42)");
  (void)state;
  assert_int_equal(o.status, NEAP_OK);
  assert_int_equal(o.cancelled, 0);
}

static void a_promise_is_resolved_before_its_function_returns(void **state) {
  order o = check(resolve_42, "assert(await(wait()) == 42)");
  (void)state;
  assert_int_equal(o.status, NEAP_OK);
}

static void resolve_42_elsewhere(void *ud) { elsewhere(resolve_42, ud); }

static void also_by_another_thread(void **state) {
  order o = check(resolve_42_elsewhere, "assert(await(wait()) == 42)");
  (void)state;
  assert_int_equal(o.status, NEAP_OK);
}

static void resolve_posted(neap_vm *vm, void *payload) {
  (void)vm;
  resolve_42(payload);
}

static void a_promise_is_resolved_by_a_post(void **state) {
  order o;
  neap_vm *vm = new_vm_with(&o, NULL);
  neap_port *port;
  (void)state;
  assert_int_equal(neap_port_open(vm, &port), NEAP_OK);
  spawn(vm, "result = await(wait())", NULL, NULL);
  while (o.promise == NULL)
    assert_true(neap_tick(vm, 0) >= 0);
  assert_int_equal(neap_post(port, resolve_posted, &o, NULL), NEAP_OK);
  assert_int_equal(neap_run(vm), NEAP_OK);
  run_script(vm, "assert(result == 42)");
  neap_port_release(port);
  close_vm(vm);
}

static void resolve_all_types(void *ud) {
  order *o = ud;
  char text[] = "a\0b";
  neap_value results[] = {neap_nil(),        neap_boolean(1),
                          neap_integer(-7),  neap_number(0.5),
                          neap_bytes(text, 3), neap_bytes(NULL, 0),
                          neap_nil()};
  o->status = neap_resolve(o->promise, results, 7);
  memset(text, 'x', sizeof text); /* they have been copied */
  memset(results, 0, sizeof results);
  neap_promise_release(o->promise);
}

static void results_are_copies_of_plain_values(void **state) {
  (void)state;
  check(resolve_all_types,
        "local r = table.pack(await(wait())) "
        "assert(r.n == 7 and r[1] == nil and r[2] == true and r[3] == -7) "
        "assert(math.type(r[3]) == 'integer' and r[4] == 0.5) "
        "assert(r[5] == 'a\\0b' and r[6] == '' and r[7] == nil)");
}

static void resolve_255(void *ud) {
  order *o = ud;
  neap_value results[255];
  for (int i = 0; i < 255; i++)
    results[i] = neap_integer(i + 1);
  assert_int_equal(neap_resolve(o->promise, results, 255), NEAP_OK);
  neap_promise_release(o->promise);
}

static void there_may_be_255_results(void **state) {
  (void)state;
  check(resolve_255, "local r = {await(wait())} "
                     "assert(#r == 255 and r[1] == 1 and r[255] == 255)");
}

static void resolve_nothing(void *ud) {
  order *o = ud;
  assert_int_equal(neap_resolve(o->promise, NULL, 0), NEAP_OK);
  neap_promise_release(o->promise);
}

static void there_may_be_no_result(void **state) {
  (void)state;
  check(resolve_nothing, "assert(select('#', await(wait())) == 0)");
}

static void reject_it(void *ud) {
  order *o = ud;
  char message[] = "no such host";
  o->status = neap_reject(o->promise, message);
  memset(message, 'x', sizeof message);
  neap_promise_release(o->promise);
}

static void a_rejection_is_an_error_where_the_script_waits(void **state) {
  order o = check(reject_it, "\nlocal ok, e = pcall(function()\n"
                             "  await(wait())\nend)\n"
                             "assert(not ok and e == 'script:3: no such host', "
                             "e)");
  (void)state;
  assert_int_equal(o.status, NEAP_OK);
  check(reject_it, "local ok, e = pcall(await, wait()) "
                   "assert(not ok and e:find('no such host', 1, true))");
}

static void give_up(void *ud) {
  order *o = ud;
  neap_promise_release(o->promise);
}

static void give_up_elsewhere(void *ud) { elsewhere(give_up, ud); }

static void a_promise_released_unsettled_is_rejected(void **state) {
  static const char code[] =
      "local ok, e = pcall(function() await(wait()) end) "
      "assert(not ok and e == 'script:1: the promise was given up', e)";
  order o = check(give_up, code);
  (void)state;
  assert_int_equal(o.cancelled, 0);
  o = check(give_up_elsewhere, code);
  assert_int_equal(o.cancelled, 0);
}

static void a_plain_function_may_suspend_too(void **state) {
  order o;
  neap_vm *vm = new_vm(NULL);
  (void)state;
  memset(&o, 0, sizeof o);
  o.begin = resolve_42;
  assert_int_equal(neap_register(vm, "wait", order_wait, &o), NEAP_OK);
  run_script(vm, "assert(wait() == 42) local t = create_task(async(function() "
                 "return wait() end)()) assert(await(t) == 42)");
  close_vm(vm);
}

static void a_promise_works_in_a_scripts_own_run(void **state) {
  order o;
  neap_vm *vm = new_vm_with(&o, on_another_thread);
  (void)state;
  run_lua(vm, "run(async(function() assert(await(wait()) == 42) end)())");
  thread_join(&o.worker);
  close_vm(vm);
}

/* Nothing else is left that could keep the loop alive. */
static void a_pending_promise_is_something_to_do(void **state) {
  order o;
  neap_vm *vm = new_vm_with(&o, NULL);
  int count = 0;
  (void)state;
  assert_false(neap_alive(vm));
  spawn(vm, "assert(await(wait()) == 42)", succeeded, &count);
  while (neap_tick(vm, 0) == 1)
    ;
  assert_true(neap_alive(vm));
  assert_int_equal(settle_with(&o, 42), NEAP_OK);
  assert_true(neap_alive(vm));
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(count, 1);
  assert_false(neap_alive(vm));
  close_vm(vm);
}

static void what_is_awaited_is_called_by_its_name(void **state) {
  order o = {0};
  (void)state;
  o = check(NULL, "local t = create_task(wait()) await(sleep(0)) "
                  "local text = {} asyncio.dump{write = function(_, s) "
                  "text[#text + 1] = s end} text = table.concat(text) "
                  "assert(text:find('awaits wait', 1, true), text) t:cancel()");
  neap_promise_release(o.promise);
}

/* ====================================================== } */

/* {======================================================
** Misuse
** ======================================================= */

static void settle_twice(void *ud) {
  order *o = ud;
  assert_int_equal(neap_resolve(o->promise, NULL, 0), NEAP_OK);
  assert_int_equal(neap_resolve(o->promise, NULL, 0), NEAP_EALREADY);
  assert_int_equal(neap_reject(o->promise, "again"), NEAP_EALREADY);
}

static void a_promise_settles_once(void **state) {
  order o = check(settle_twice, "assert(await(wait()) == nil)");
  (void)state;
  /* the VM has gone */
  assert_int_equal(neap_resolve(o.promise, NULL, 0), NEAP_EALREADY);
  neap_promise_release(o.promise);
}

static void settle_badly(void *ud) {
  order *o = ud;
  neap_value many[256];
  memset(many, 0, sizeof many);
  assert_int_equal(neap_resolve(o->promise, many, 256), NEAP_EINVAL);
  assert_int_equal(neap_resolve(o->promise, many, -1), NEAP_EINVAL);
  for (int type = NEAP_TABLE; type <= NEAP_OTHER + 1; type++) {
    many[1].type = (neap_type)type;
    assert_int_equal(neap_resolve(o->promise, many, 2), NEAP_EINVAL);
  }
  resolve_42(o); /* nothing has happened to it */
}

static void references_and_too_many_results_are_refused(void **state) {
  order o = check(settle_badly, "assert(await(wait()) == 42)");
  (void)state;
  assert_int_equal(o.status, NEAP_OK);
}

static void a_promise_needs_a_task(void **state) {
  order o;
  neap_vm *vm = new_vm_with(&o, NULL);
  neap_value f;
  neap_error_info info;
  (void)state;
  o.promise = (neap_promise *)1;
  assert_int_equal(neap_register(vm, "wait", order_wait, &o), NEAP_OK);
  f = load_text(vm, "script", "wait()");
  assert_int_equal(neap_call(vm, &f, NULL, 0, NULL, 0, 0), NEAP_ESCRIPT);
  neap_error(vm, &info);
  assert_contains(info.message, "script:1: wait: called outside a task");
  assert_null(o.promise);
  run_script(vm, "local ok, e = pcall(table.sort, {2, 1}, wait) assert(not ok) "
                 "assert(e:find('wait: cannot wait in a callback', 1, true))");
  assert_null(o.promise);
  assert_int_equal(o.cancelled, 0);
  close_vm(vm);
}

/* Opens two, and returns what the second has returned. */
static int open_twice(neap_frame *frame, void *ud) {
  order *o = ud;
  neap_promise *second = (neap_promise *)1;
  int status = order_wait(frame, o);
  assert_int_equal(status, NEAP_SUSPENDED);
  status = neap_promise_open(frame, NULL, NULL, &second);
  assert_null(second);
  return status;
}

/* Does not wait for the one that it has opened. */
static int open_in_vain(neap_frame *frame, void *ud) {
  assert_int_equal(order_wait(frame, ud), NEAP_SUSPENDED);
  return neap_fail(frame, "changed my mind");
}

/* The same, and says that all is well. */
static int open_and_forget(neap_frame *frame, void *ud) {
  assert_int_equal(order_wait(frame, ud), NEAP_SUSPENDED);
  return NEAP_OK;
}

static int wait_for_nothing(neap_frame *frame, void *ud) {
  (void)frame;
  (void)ud;
  return NEAP_SUSPENDED;
}

static void check_called_off(neap_function f, const char *message) {
  order o;
  neap_vm *vm = new_vm_with(&o, NULL);
  assert_int_equal(neap_register(vm, "f", f, &o), NEAP_OK);
  assert_int_equal(neap_set(vm, "message", (neap_value[]){neap_text(message)}),
                   NEAP_OK);
  run_script(vm, "local ok, e = pcall(f) assert(not ok) "
                 "assert(e:find(message, 1, true), e)");
  assert_int_equal(o.cancelled, o.promise != NULL);
  if (o.promise != NULL) {
    assert_int_equal(neap_resolve(o.promise, NULL, 0), NEAP_ECANCELED);
    neap_promise_release(o.promise);
  }
  close_vm(vm);
}

static void a_promise_is_waited_for_by_the_call_that_says_so(void **state) {
  (void)state;
  check_called_off(open_twice, "f: waits for something already");
  check_called_off(open_in_vain, "changed my mind");
  check_called_off(open_and_forget, "NEAP_SUSPENDED");
  check_called_off(wait_for_nothing, "NEAP_SUSPENDED");
}

/* ====================================================== } */

/* {======================================================
** Cancellation and the end
** ======================================================= */

static void a_cancelled_task_cancels_its_promise_once(void **state) {
  order o;
  neap_vm *vm = new_vm_with(&o, NULL);
  uv_thread_t self = uv_thread_self();
  (void)state;
  run_script(vm, "local t = create_task(wait()) await(sleep(0)) t:cancel('x') "
                 "t:cancel() local ok, e = asyncio.catch(await, t) "
                 "assert(not ok and tostring(e):find('CancelledError'))");
  assert_int_equal(o.cancelled, 1);
  assert_true(uv_thread_equal(&o.thread, &self));
  assert_int_equal(neap_resolve(o.promise, NULL, 0), NEAP_ECANCELED);
  assert_int_equal(neap_reject(o.promise, "late"), NEAP_ECANCELED);
  close_vm(vm);
  assert_int_equal(neap_resolve(o.promise, NULL, 0), NEAP_ECLOSED);
  neap_promise_release(o.promise);
  assert_int_equal(o.cancelled, 1);
}

static void settle_in_cancel(void *ud) {
  order *o = ud;
  o->cancelled++;
  o->on_cancel = neap_resolve(o->promise, NULL, 0);
  neap_promise_release(o->promise);
}

static int settling_wait(neap_frame *frame, void *ud) {
  order *o = ud;
  return neap_promise_open(frame, settle_in_cancel, o, &o->promise);
}

static void cancel_may_settle_and_release_the_promise(void **state) {
  order o = {0};
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_int_equal(neap_register_async(vm, "wait", settling_wait, &o), NEAP_OK);
  run_script(vm, "local t = create_task(wait()) await(sleep(0)) t:cancel() "
                 "assert(not asyncio.catch(await, t))");
  assert_int_equal(o.cancelled, 1);
  assert_int_equal(o.on_cancel, NEAP_ECANCELED);
  spawn(vm, "await(wait())", NULL, NULL);
  while (neap_tick(vm, 0) == 1)
    ;
  close_vm(vm);
  assert_int_equal(o.cancelled, 2);
  assert_int_equal(o.on_cancel, NEAP_ECLOSED);
}

static int resolve_now(neap_frame *frame, void *ud) {
  (void)frame;
  resolve_42(ud);
  return NEAP_OK;
}

/* It is on its way: who has settled it is told that it counts, and nothing
   else. */
static void a_settled_promise_is_not_cancelled(void **state) {
  order o;
  neap_vm *vm = new_vm_with(&o, NULL);
  (void)state;
  assert_int_equal(neap_register(vm, "resolve", resolve_now, &o), NEAP_OK);
  run_script(vm, "local t = create_task(wait()) await(sleep(0)) resolve() "
                 "t:cancel() assert(not asyncio.catch(await, t)) "
                 "assert(t:cancelled())");
  assert_int_equal(o.status, NEAP_OK);
  assert_int_equal(o.cancelled, 0);
  /* it has arrived, and the task has not gone on */
  run_script(vm, "local t = create_task(wait()) await(sleep(0)) "
                 "asyncio.call_soon(function() asyncio.call_soon(function() "
                 "t:cancel() end) end) resolve() "
                 "assert(select('#', asyncio.catch(await, t)) > 0)");
  assert_int_equal(o.status, NEAP_OK);
  assert_int_equal(o.cancelled, 0);
  close_vm(vm);
}

static void a_killed_task_cancels_its_promise(void **state) {
  order o;
  neap_vm *vm = new_vm_with(&o, NULL);
  int status = NEAP_OK;
  neap_task task = spawn(vm, "pcall(await, wait())", note_status, &status);
  (void)state;
  while (neap_tick(vm, 0) == 1)
    ;
  assert_int_equal(neap_kill(vm, task), NEAP_OK);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(status, NEAP_EKILLED);
  assert_int_equal(o.cancelled, 1);
  assert_int_equal(neap_resolve(o.promise, NULL, 0), NEAP_ECANCELED);
  neap_promise_release(o.promise);
  close_vm(vm);
}

static void the_close_cancels_what_is_pending(void **state) {
  order o;
  neap_vm *vm = new_vm_with(&o, NULL);
  int status = NEAP_OK;
  (void)state;
  spawn(vm, "await(wait())", note_status, &status);
  while (neap_tick(vm, 0) == 1)
    ;
  assert_int_equal(o.cancelled, 0);
  close_vm(vm);
  assert_int_equal(status, NEAP_ECLOSED);
  assert_int_equal(o.cancelled, 1);
  assert_int_equal(neap_resolve(o.promise, NULL, 0), NEAP_ECLOSED);
  assert_int_equal(neap_reject(o.promise, "late"), NEAP_ECLOSED);
  neap_promise_release(o.promise);
}

static void a_promise_settled_just_before_the_close_is_not_cancelled(
    void **state) {
  order o;
  neap_vm *vm = new_vm_with(&o, NULL);
  (void)state;
  spawn(vm, "await(wait())", NULL, NULL);
  while (neap_tick(vm, 0) == 1)
    ;
  assert_int_equal(settle_with(&o, 1), NEAP_OK);
  close_vm(vm);
  assert_int_equal(o.cancelled, 0);
}

/* ====================================================== } */

/* {======================================================
** Many threads
** ======================================================= */

#define WORKERS 4
#define EACH 250

/* One call of the scripts' `wait(i)`. */
typedef struct call {
  neap_promise *promise;
  atomic_int cancelled;
  int status; /* of the settle */
} call;

/* A thread that settles EACH of them. */
typedef struct worker {
  struct calls *all;
  int number;
  uint64_t seed;
  uv_sem_t ready; /* all of its calls are there */
  uv_thread_t thread;
} worker;

/* Calls, in the order that they come. */
typedef struct calls {
  call call[WORKERS * EACH];
  int count;
  worker workers[WORKERS];
} calls;

static void call_cancelled(void *ud) {
  call *c = ud;
  c->cancelled++;
}

static int call_wait(neap_frame *frame, void *ud) {
  calls *all = ud;
  call *c = &all->call[all->count];
  int status = neap_promise_open(frame, call_cancelled, c, &c->promise);
  if (status == NEAP_SUSPENDED && ++all->count % EACH == 0)
    uv_sem_post(&all->workers[all->count / EACH - 1].ready);
  return status;
}

static void settle_calls(void *ud) {
  worker *w = ud;
  uv_sem_wait(&w->ready);
  for (int i = w->number * EACH; i < (w->number + 1) * EACH; i++) {
    call *c = &w->all->call[i];
    if (chance(&w->seed, 8) == 0)
      dawdle(&w->seed);
    c->status = neap_resolve(c->promise, (neap_value[]){neap_integer(i)}, 1);
    neap_promise_release(c->promise);
  }
}

/* Registers `wait`, and starts the workers. */
static calls *calls_new(neap_vm *vm, uint64_t seed) {
  calls *all = calloc(1, sizeof *all);
  assert_non_null(all);
  assert_int_equal(neap_register_async(vm, "wait", call_wait, all), NEAP_OK);
  for (int i = 0; i < WORKERS; i++) {
    worker *w = &all->workers[i];
    w->all = all;
    w->number = i;
    w->seed = seed + (uint64_t)i + 1;
    assert_int_equal(uv_sem_init(&w->ready, 0), 0);
    thread_start(&w->thread, settle_calls, w);
  }
  return all;
}

static void calls_join(calls *all) {
  for (int i = 0; i < WORKERS; i++) {
    thread_join(&all->workers[i].thread);
    uv_sem_destroy(&all->workers[i].ready);
  }
}

static void many_threads_settle_many_promises(void **state) {
  neap_vm *vm = new_vm(NULL);
  calls *all = calls_new(vm, first_seed());
  (void)state;
  run_script(vm, "local list = {} for i = 1, 1000 do list[i] = wait() end "
                 "local r = await(gather(list)) "
                 "for i = 1, 1000 do assert(r[i] == i - 1) end");
  calls_join(all);
  free(all);
  close_vm(vm);
}

/* For each promise: it was settled, or `cancel` was called; never both. */
static void check_calls(const calls *all) {
  for (int i = 0; i < WORKERS * EACH; i++) {
    const call *c = &all->call[i];
    if (c->status == NEAP_OK)
      assert_int_equal(c->cancelled, 0);
    else {
      assert_true(c->status == NEAP_ECANCELED || c->status == NEAP_ECLOSED);
      assert_int_equal(c->cancelled, 1);
    }
  }
}

static int random_number(neap_frame *frame, void *ud) {
  return neap_return(frame, neap_integer(chance(ud, 1000)));
}

static void settles_that_race_cancellation_are_told_who_won(void **state) {
  uint64_t seed = first_seed();
  int settled = 0;
  (void)state;
  for (int i = 0; i < 100; i++) {
    neap_vm *vm = new_vm(NULL);
    calls *all = calls_new(vm, seed + (uint64_t)i);
    assert_int_equal(neap_register(vm, "chance", random_number, &seed),
                     NEAP_OK);
    run_script(vm, "local list = {} "
                   "for i = 1, 1000 do list[i] = create_task(wait()) end "
                   "await(sleep(0)) "
                   "for i = 1, 1000 do "
                   "  if chance() < 50 then await(sleep(0)) end "
                   "  list[chance() + 1]:cancel() "
                   "end "
                   "for i = 1, 1000 do "
                   "  local ok, r = asyncio.catch(await, list[i]) "
                   "  assert(ok and r == i - 1 or list[i]:cancelled()) "
                   "end");
    calls_join(all);
    check_calls(all);
    for (int k = 0; k < WORKERS * EACH; k++)
      settled += all->call[k].status == NEAP_OK;
    free(all);
    close_vm(vm);
  }
  assert_true(settled > 0 && settled < 100 * WORKERS * EACH); /* it was a race */
}

static void settles_that_race_the_close_are_told_who_won(void **state) {
  uint64_t seed = first_seed();
  (void)state;
  for (int i = 0; i < 200; i++) {
    neap_vm *vm = new_vm(NULL);
    calls *all = calls_new(vm, seed + (uint64_t)i);
    spawn(vm, "for i = 1, 1000 do create_task(wait()) end await(sleep(3600))",
          NULL, NULL);
    while (all->count < WORKERS * EACH)
      assert_true(neap_tick(vm, 1000) >= 0);
    for (unsigned turns = chance(&seed, 3); turns > 0; turns--)
      assert_true(neap_tick(vm, 0) >= 0);
    dawdle(&seed);
    close_vm(vm);
    calls_join(all);
    check_calls(all);
    free(all);
  }
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_promise_is_resolved_by_another_thread),
      cmocka_unit_test(a_promise_is_resolved_before_its_function_returns),
      cmocka_unit_test(also_by_another_thread),
      cmocka_unit_test(a_promise_is_resolved_by_a_post),
      cmocka_unit_test(results_are_copies_of_plain_values),
      cmocka_unit_test(there_may_be_255_results),
      cmocka_unit_test(there_may_be_no_result),
      cmocka_unit_test(a_rejection_is_an_error_where_the_script_waits),
      cmocka_unit_test(a_promise_released_unsettled_is_rejected),
      cmocka_unit_test(a_plain_function_may_suspend_too),
      cmocka_unit_test(a_promise_works_in_a_scripts_own_run),
      cmocka_unit_test(a_pending_promise_is_something_to_do),
      cmocka_unit_test(what_is_awaited_is_called_by_its_name),
      cmocka_unit_test(a_promise_settles_once),
      cmocka_unit_test(references_and_too_many_results_are_refused),
      cmocka_unit_test(a_promise_needs_a_task),
      cmocka_unit_test(a_promise_is_waited_for_by_the_call_that_says_so),
      cmocka_unit_test(a_cancelled_task_cancels_its_promise_once),
      cmocka_unit_test(cancel_may_settle_and_release_the_promise),
      cmocka_unit_test(a_settled_promise_is_not_cancelled),
      cmocka_unit_test(a_killed_task_cancels_its_promise),
      cmocka_unit_test(the_close_cancels_what_is_pending),
      cmocka_unit_test(
          a_promise_settled_just_before_the_close_is_not_cancelled),
      cmocka_unit_test(many_threads_settle_many_promises),
      cmocka_unit_test(settles_that_race_cancellation_are_told_who_won),
      cmocka_unit_test(settles_that_race_the_close_are_told_who_won),
  };
  return cmocka_run_group_tests_name("promise", tests, NULL, NULL);
}
