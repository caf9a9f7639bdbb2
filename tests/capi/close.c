/*
** close.c - tests the end of a VM with all kinds of things under way: all is
** told, nothing is left, and nothing comes after.
*/
#include "threads.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CYCLES 500
#else
#define CYCLES 10000
#endif

/* What has been called, and whether the VM had been closed before. */
typedef struct witness {
  int done, disposed, cancelled, finalized;
  _Atomic int worked; /* another thread does */
  int closed, late;
} witness;

static void count(witness *w, int *what) {
  ++*what;
  w->late += w->closed;
}

static void on_done(void *ud, neap_vm *vm, int status,
                    const neap_value *results, int nresults) {
  witness *w = ud;
  neap_value nothing;
  (void)results;
  (void)nresults;
  count(w, &w->done);
  if (status == NEAP_OK && w->worked)
    return; /* the work was faster */
  assert_int_equal(status, NEAP_ECLOSED);
  assert_true(neap_load(vm, "x", "", 0, &nothing) != NEAP_OK ||
              neap_spawn(vm, &nothing, NULL, 0, 0, NULL, NULL, NULL) ==
                  NEAP_ECLOSED);
}

static void on_closed(void *ud) {
  witness *w = ud;
  assert_int_equal(w->closed, 0);
  w->closed = 1;
}

static void never(neap_vm *vm, void *payload) {
  (void)vm;
  (void)payload;
  fail_msg("a post has run in a VM that is closed");
}

static void on_dispose(void *ud) { count(ud, &((witness *)ud)->disposed); }
static void on_cancel(void *ud) { count(ud, &((witness *)ud)->cancelled); }
static void on_finalize(void *ud) { count(ud, &((witness *)ud)->finalized); }
static void on_work(void *ud) { ((witness *)ud)->worked = 1; }

static neap_promise *promise;

static int wait_for_promise(neap_frame *frame, void *ud) {
  return neap_promise_open(frame, on_cancel, ud, &promise);
}

static int wait_for_work(neap_frame *frame, void *ud) {
  return neap_offload(frame, on_work, NULL, on_dispose, ud);
}

static const neap_class thing = {"Thing", NULL, on_finalize};

/* Gives the VM one of everything. */
static neap_port *fill(neap_vm *vm, witness *w) {
  neap_port *port;
  neap_value object;
  memset(w, 0, sizeof *w);
  assert_int_equal(neap_register(vm, "promise", wait_for_promise, w), NEAP_OK);
  assert_int_equal(neap_register(vm, "work", wait_for_work, w), NEAP_OK);
  assert_int_equal(neap_object_new(vm, &thing, w, &object), NEAP_OK);
  assert_int_equal(neap_set(vm, "thing", &object), NEAP_OK);
  assert_int_equal(neap_retain(vm, &object), NEAP_OK);
  spawn(vm, "await(sleep(1000))", on_done, w);
  spawn(vm, "promise()", on_done, w);
  spawn(vm, "work()", on_done, w);
  spawn(vm, "local f = asyncio.Future() f:add_done_callback(print)\n"
            "asyncio.call_later(1000, print)\n"
            "await(gather(f, sleep(1000)))", on_done, w);
  spawn(vm, "local x <close> = setmetatable({}, {__close = error})\n"
            "while true do await(sleep(0)) end", on_done, w);
  assert_int_equal(neap_port_open(vm, &port), NEAP_OK);
  return port;
}

/* All but the post has begun; nothing of it is over but maybe the work. */
static void check(witness *w, neap_port *port) {
  assert_int_equal(w->closed, 1);
  assert_int_equal(w->late, 0);
  assert_int_equal(w->done, 5);
  assert_int_equal(w->cancelled, 1);
  assert_int_equal(w->finalized, 1);
  assert_int_equal(w->disposed, 2);
  assert_int_equal(neap_resolve(promise, NULL, 0), NEAP_ECLOSED);
  neap_promise_release(promise);
  assert_int_equal(neap_post(port, never, w, on_dispose), NEAP_ECLOSED);
  assert_int_equal(w->disposed, 3);
  neap_port_release(port);
}

static void everything_ends_with_a_vm_that_has_its_own_loop(void **state) {
  heap memory = {0, -1, 0, 0};
  neap_vm *vm = counted_vm(&memory, NEAP_CAN_ALL);
  witness w;
  neap_port *port = fill(vm, &w);
  (void)state;
  assert_true(neap_tick(vm, 0) >= 0);
  assert_true(neap_tick(vm, 0) >= 0);
  assert_int_equal(neap_post(port, never, &w, on_dispose), NEAP_OK);
  assert_int_equal(neap_close(vm, on_closed, &w), NEAP_OK);
  check(&w, port);
  assert_int_equal(memory.blocks, 0);
}

static void everything_ends_with_a_vm_on_a_hosts_loop(void **state) {
  heap memory = {0, -1, 0, 0};
  neap_config config;
  uv_loop_t loop;
  neap_vm *vm;
  witness w;
  neap_port *port;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  neap_config_init(&config);
  config.alloc = heap_alloc;
  config.alloc_ud = &memory;
  config.loop = &loop;
  vm = new_vm(&config);
  port = fill(vm, &w);
  (void)uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(neap_post(port, never, &w, on_dispose), NEAP_OK);
  assert_int_equal(neap_close(vm, on_closed, &w), NEAP_OK);
  assert_int_equal(w.closed, 0);
  close_loop(&loop);
  check(&w, port);
  assert_int_equal(memory.blocks, 0);
}

static void closing_nothing_calls_back_at_once(void **state) {
  witness w = {0};
  (void)state;
  assert_int_equal(neap_close(NULL, on_closed, &w), NEAP_OK);
  assert_int_equal(w.closed, 1);
}

static void a_thousand_vms_sleep_on_one_loop(void **state) {
  static neap_vm *vms[1000];
  uv_loop_t loop;
  int i, woken = 0;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  for (i = 0; i < 1000; i++) {
    vms[i] = vm_on(&loop, 0);
    spawn(vms[i], "await(sleep(0.01))", succeeded, &woken);
  }
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(woken, 1000);
  for (i = 0; i < 1000; i++)
    close_vm(vms[i]);
  close_loop(&loop);
}

/* Pages of the process that are in memory. */
static long resident(void) {
  long total = 0, pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  assert_non_null(f);
  assert_int_equal(fscanf(f, "%ld %ld", &total, &pages), 2);
  fclose(f);
  return pages;
}

static void a_vm_leaves_no_memory_behind_however_many_there_were(void **state) {
  long before = 0;
  int i;
  (void)state;
  for (i = 0; i < CYCLES; i++) {
    neap_config config;
    neap_vm *vm;
    neap_config_init(&config);
    config.limits.memory = 1 << 20;
    config.limits.slice = 0.01;
    vm = new_vm(&config);
    if (i % 100 == 0)
      spawn(vm, "await(sleep(1000))", NULL, NULL);
    close_vm(vm);
    if (i == CYCLES / 10)
      before = resident();
  }
#if CYCLES == 10000 /* a sanitizer keeps what is freed */
  assert_true(resident() <= before + 256); /* a megabyte */
#else
  (void)before;
#endif
}

/* A thread with a VM of its own. */
static void live_and_die(void *ud) {
  int *count = ud, i;
  for (i = 0; i < 50; i++) {
    neap_config config;
    neap_vm *vm;
    neap_config_init(&config);
    config.limits.slice = 0.002;
    config.limits.deadline = 10;
    assert_int_equal(neap_new(&vm, &config), NEAP_OK);
    spawn(vm, "for i = 1, 20 do await(sleep(0)) end", succeeded, count);
    assert_int_equal(neap_run(vm), NEAP_OK);
    assert_int_equal(neap_close(vm, NULL, NULL), NEAP_OK);
  }
}

static void threads_have_vms_of_their_own_at_once(void **state) {
  uv_thread_t threads[4];
  int counts[4] = {0}, i;
  (void)state;
  for (i = 0; i < 4; i++)
    thread_start(&threads[i], live_and_die, &counts[i]);
  for (i = 0; i < 4; i++)
    thread_join(&threads[i]);
  for (i = 0; i < 4; i++)
    assert_int_equal(counts[i], 50);
}

static void work_for_a_while(uv_work_t *request) {
  (void)request;
  uv_sleep(20);
}

static void work_has_ended(uv_work_t *request, int status) {
  assert_int_equal(status, 0);
  set_flag(request->data);
}

/* A module in C has no neap_offload: it gives libuv work on the VM's loop. */
static void a_vm_waits_for_the_work_of_a_module(void **state) {
  neap_vm *vm = new_vm(NULL);
  uv_work_t request;
  uv_loop_t *loop;
  int ended = 0;
  (void)state;
  request.data = &ended;
  assert_int_equal(neap_loop(vm, &loop), NEAP_OK);
  assert_int_equal(
      uv_queue_work(loop, &request, work_for_a_while, work_has_ended), 0);
  close_vm(vm);
  assert_int_equal(ended, 1);
}

/* Memory that has ended does not keep the host from being told. */
static void a_vm_closes_without_memory(void **state) {
  (void)state;
  for (long n = 0; n < 60; n++) {
    heap memory = {0, -1, 0, 0};
    neap_vm *vm = counted_vm(&memory, 0);
    witness w = {0};
    spawn(vm, "await(sleep(1000))", on_done, &w);
    spawn(vm, "await(gather(sleep(1000), asyncio.Future()))", on_done, &w);
    assert_int_equal(neap_tick(vm, 0), 1);
    memory.countdown = n;
    assert_int_equal(neap_close(vm, on_closed, &w), NEAP_OK);
    assert_int_equal(w.closed, 1);
    assert_int_equal(w.done, 2);
    assert_int_equal(memory.blocks, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_ends_with_a_vm_that_has_its_own_loop),
      cmocka_unit_test(everything_ends_with_a_vm_on_a_hosts_loop),
      cmocka_unit_test(closing_nothing_calls_back_at_once),
      cmocka_unit_test(a_thousand_vms_sleep_on_one_loop),
      cmocka_unit_test(a_vm_leaves_no_memory_behind_however_many_there_were),
      cmocka_unit_test(threads_have_vms_of_their_own_at_once),
      cmocka_unit_test(a_vm_closes_without_memory),
      cmocka_unit_test(a_vm_waits_for_the_work_of_a_module),
  };
  return cmocka_run_group_tests_name("close", tests, NULL, NULL);
}
