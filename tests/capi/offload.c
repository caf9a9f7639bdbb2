/*
** offload.c - tests neap_offload: C work for the pool of threads, and what
** becomes of it when nobody waits any longer.
*/
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "threads.h"

#define NOBODY 65533 /* a user who has no processes */

/* One piece of work, and what has happened to it. */
typedef struct job {
  uv_thread_t thread;   /* of `work` */
  int worked, after, disposals;
  int after_then;       /* `after` at the disposal */
  int holds;            /* `work` is to post `begun` and to wait for `go` */
  uv_sem_t begun, go;
  int status;           /* that neap_offload has returned */
} job;

static void job_holds(job *j) {
  j->holds = 1;
  assert_int_equal(uv_sem_init(&j->begun, 0), 0);
  assert_int_equal(uv_sem_init(&j->go, 0), 0);
}

/* Of one that holds. */
static void job_free(job *j) {
  uv_sem_destroy(&j->begun);
  uv_sem_destroy(&j->go);
}

static void job_work(void *ud) {
  job *j = ud;
  j->thread = uv_thread_self();
  if (j->holds) {
    uv_sem_post(&j->begun);
    uv_sem_wait(&j->go);
  }
  j->worked++;
}

static int job_after(neap_frame *frame, void *ud) {
  job *j = ud;
  j->after++;
  return neap_return(frame, neap_integer(j->worked));
}

static void job_dispose(void *ud) {
  job *j = ud;
  j->disposals++;
  j->after_then = j->after;
}

static int offload(neap_frame *frame, void *ud) {
  job *j = ud;
  j->status = neap_offload(frame, job_work, job_after, job_dispose, j);
  return j->status;
}

/* Gives the VM a function `work`, which does the job. */
static neap_vm *prepare(neap_vm *vm, job *j) {
  assert_int_equal(neap_register_async(vm, "work", offload, j), NEAP_OK);
  return vm;
}

static void work_runs_on_another_thread_and_then_the_task_goes_on(
    void **state) {
  job j = {0};
  neap_vm *vm = prepare(new_vm(NULL), &j);
  uv_thread_t self = uv_thread_self();
  (void)state;
  run_script(vm, "assert(await(work()) == 1)");
  assert_int_equal(j.status, NEAP_SUSPENDED);
  assert_false(uv_thread_equal(&j.thread, &self));
  assert_int_equal(j.after, 1);
  assert_int_equal(j.disposals, 1);
  assert_int_equal(j.after_then, 1);
  close_vm(vm);
  assert_int_equal(j.disposals, 1);
}

static void count_ring(void *ud) { (void)atomic_fetch_add((atomic_int *)ud, 1); }

static void tick_to_rest(neap_vm *vm) {
  int status;
  while ((status = neap_tick(vm, 0)) == 1)
    ;
  assert_int_equal(status, 0);
}

static void the_end_of_work_calls_the_wakeup_of_the_configuration(
    void **state) {
  uint64_t give_up = uv_hrtime() + (uint64_t)60000000000; /* 60 s */
  (void)state;
  for (int i = 0; i < 200; i++) {
    atomic_int rings = 0;
    job j = {0};
    neap_config config;
    neap_vm *vm;
    job_holds(&j);
    neap_config_init(&config);
    config.wakeup = count_ring;
    config.wakeup_ud = &rings;
    vm = prepare(new_vm(&config), &j);
    spawn(vm, "await(work())", NULL, NULL);
    tick_to_rest(vm);
    assert_int_equal(rings, 0);
    uv_sem_post(&j.go);
    while (rings == 0) {
      assert_true(uv_hrtime() < give_up);
      sched_yield();
    }
    tick_to_rest(vm); /* no further one will come */
    assert_int_equal(j.after, 1);
    close_vm(vm);
    assert_int_equal(rings, 1);
    job_free(&j);
  }
}

static int offload_bare(neap_frame *frame, void *ud) {
  return neap_offload(frame, job_work, NULL, NULL, ud);
}

static void work_needs_neither_after_nor_dispose(void **state) {
  job j = {0};
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_int_equal(neap_register_async(vm, "work", offload_bare, &j), NEAP_OK);
  run_script(vm, "assert(select('#', await(work())) == 0)");
  assert_int_equal(j.worked, 1);
  close_vm(vm);
}

/* A method's `after`, and a function's: both see the arguments. */
static int after_sum(neap_frame *frame, void *ud) {
  job *j = ud;
  lua_Integer a, b;
  int status;
  j->after++;
  if ((status = neap_arg_integer(frame, 1, &a)) != NEAP_OK ||
      (status = neap_arg_integer(frame, 2, &b)) != NEAP_OK)
    return status;
  return neap_return(frame, neap_integer(a + b));
}

static int offload_sum(neap_frame *frame, void *ud) {
  return neap_offload(frame, job_work, after_sum, job_dispose, ud);
}

static void after_sees_the_arguments_of_the_call(void **state) {
  static const neap_method methods[] = {{"sum", offload_sum, 1}, {NULL, NULL, 0}};
  static const neap_class type = {"Adder", methods, NULL};
  job j = {0};
  neap_vm *vm = new_vm(NULL);
  neap_value object;
  (void)state;
  assert_int_equal(neap_register_async(vm, "sum", offload_sum, &j), NEAP_OK);
  assert_int_equal(neap_object_new(vm, &type, &j, &object), NEAP_OK);
  assert_int_equal(neap_set(vm, "adder", &object), NEAP_OK);
  run_script(vm, "assert(await(sum(1, 2)) == 3) "
                 "assert(await(adder:sum(3, 4)) == 7) "
                 "local ok, e = pcall(await, sum(1, 'x')) "
                 "assert(not ok and e:find(\"bad argument #2 to 'sum'\", 1, "
                 "true), e)");
  assert_int_equal(j.disposals, 3);
  close_vm(vm);
}

static int after_fails(neap_frame *frame, void *ud) {
  job *j = ud;
  j->after++;
  return neap_fail(frame, "cannot %s", "add");
}

static int offload_failing(neap_frame *frame, void *ud) {
  return neap_offload(frame, job_work, after_fails, job_dispose, ud);
}

static void after_may_fail(void **state) {
  job j = {0};
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_int_equal(neap_register_async(vm, "work", offload_failing, &j),
                   NEAP_OK);
  run_script(vm, "local ok, e = pcall(function() await(work()) end) "
                 "assert(not ok and e == 'script:1: cannot add', e)");
  assert_int_equal(j.disposals, 1);
  close_vm(vm);
}

static int after_works_on(neap_frame *frame, void *ud) {
  job *j = ud;
  if (++j->after < 3)
    return neap_offload(frame, job_work, after_works_on, job_dispose, j);
  return neap_return(frame, neap_integer(j->worked));
}

static int offload_thrice(neap_frame *frame, void *ud) {
  return neap_offload(frame, job_work, after_works_on, job_dispose, ud);
}

static void after_may_suspend_again(void **state) {
  job j = {0};
  neap_vm *vm = new_vm(NULL);
  (void)state;
  assert_int_equal(neap_register_async(vm, "work", offload_thrice, &j),
                   NEAP_OK);
  run_script(vm, "assert(await(work()) == 3)");
  assert_int_equal(j.after, 3);
  assert_int_equal(j.disposals, 3);
  close_vm(vm);
}

static int offload_nothing(neap_frame *frame, void *ud) {
  job *j = ud;
  j->status = neap_offload(frame, NULL, job_after, job_dispose, j);
  return j->status;
}

static void work_that_cannot_begin_is_disposed_of(void **state) {
  job j = {0};
  neap_vm *vm = new_vm(NULL);
  neap_value f;
  (void)state;
  assert_int_equal(neap_register(vm, "work", offload, &j), NEAP_OK);
  assert_int_equal(neap_register(vm, "nothing", offload_nothing, &j), NEAP_OK);
  f = load_text(vm, "script", "work()");
  assert_int_equal(neap_call(vm, &f, NULL, 0, NULL, 0, 0), NEAP_ESCRIPT);
  assert_int_equal(j.status, NEAP_ESCRIPT);
  assert_int_equal(j.disposals, 1);
  run_script(vm, "local ok, e = pcall(nothing) "
                 "assert(not ok and e:find('invalid argument', 1, true))");
  assert_int_equal(j.status, NEAP_EINVAL);
  assert_int_equal(j.disposals, 2);
  assert_int_equal(j.worked + j.after, 0);
  close_vm(vm);
}

static int wait_until_begun(neap_frame *frame, void *ud) {
  job *j = ud;
  (void)frame;
  uv_sem_wait(&j->begun);
  return NEAP_OK;
}

static void work_that_has_begun_ends_without_its_task(void **state) {
  job j = {0};
  neap_vm *vm = prepare(new_vm(NULL), &j);
  (void)state;
  job_holds(&j);
  assert_int_equal(neap_register(vm, "wait_until_begun", wait_until_begun, &j),
                   NEAP_OK);
  spawn(vm, "local t = create_task(work()) await(sleep(0)) wait_until_begun() "
            "t:cancel() assert(not asyncio.catch(await, t)) cancelled = true",
        NULL, NULL);
  while (neap_tick(vm, 0) == 1)
    ;
  assert_true(global_is_true(vm, "cancelled"));
  assert_int_equal(j.disposals, 0); /* it is still in use */
  uv_sem_post(&j.go);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_int_equal(j.worked, 1);
  assert_int_equal(j.after, 0);
  assert_int_equal(j.disposals, 1);
  close_vm(vm);
  job_free(&j);
}

#define POOL 4 /* threads: main sets UV_THREADPOOL_SIZE */

static int offload_blocking(neap_frame *frame, void *ud) {
  job *jobs = ud, *j;
  lua_Integer i;
  int status = neap_arg_integer(frame, 1, &i);
  assert_int_equal(status, NEAP_OK);
  j = &jobs[i];
  return neap_offload(frame, job_work, job_after, job_dispose, j);
}

static void work_that_has_not_begun_is_left_out(void **state) {
  job jobs[POOL + 1];
  neap_vm *vm = new_vm(NULL);
  (void)state;
  memset(jobs, 0, sizeof jobs);
  for (int i = 0; i < POOL; i++)
    job_holds(&jobs[i]);
  assert_int_equal(neap_register_async(vm, "work", offload_blocking, jobs),
                   NEAP_OK);
  spawn(vm, "local list = {} for i = 0, 4 do list[i] = create_task(work(i)) end "
            "await(sleep(0)) list[4]:cancel() "
            "assert(not asyncio.catch(await, list[4])) cancelled = true "
            "for i = 0, 3 do assert(await(list[i]) == 1) end all = true",
        NULL, NULL);
  while (jobs[POOL].disposals == 0 || !global_is_true(vm, "cancelled"))
    assert_true(neap_tick(vm, 0) >= 0); /* while the others go on */
  assert_int_equal(jobs[POOL].worked, 0);
  for (int i = 0; i < POOL; i++)
    uv_sem_post(&jobs[i].go);
  assert_int_equal(neap_run(vm), NEAP_OK);
  assert_true(global_is_true(vm, "all"));
  for (int i = 0; i <= POOL; i++) {
    assert_int_equal(jobs[i].worked, i < POOL);
    assert_int_equal(jobs[i].after, i < POOL);
    assert_int_equal(jobs[i].disposals, 1);
  }
  close_vm(vm);
  for (int i = 0; i < POOL; i++)
    job_free(&jobs[i]);
}

/* Work has ended, so that the task is ready; it is cancelled before it goes
   on. */
static void work_that_has_ended_may_have_no_task_any_more(void **state) {
  job j = {0};
  uv_loop_t loop;
  neap_vm *vm;
  neap_task task;
  int status = NEAP_OK, closed = 0;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = prepare(vm_on(&loop, 0), &j);
  task = spawn(vm, "await(work())", note_status, &status);
  while (j.status == NEAP_OK)
    uv_run(&loop, UV_RUN_NOWAIT);
  while (loop.active_reqs.count > 0) /* the turn comes before the poll */
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(j.worked, 1);
  assert_int_equal(neap_cancel(vm, task, NULL), NEAP_OK);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(status, NEAP_ECANCELED);
  assert_int_equal(j.after, 0);
  assert_int_equal(j.disposals, 1);
  assert_int_equal(neap_close(vm, set_flag, &closed), NEAP_OK);
  close_loop(&loop);
  assert_true(closed);
}

/* The task is killed, in neap_close: only now its work may end. */
static void let_go(void *ud, neap_vm *vm, int status, const neap_value *results,
                   int nresults) {
  job *j = ud;
  (void)vm;
  (void)results;
  (void)nresults;
  assert_int_equal(status, NEAP_ECLOSED);
  assert_int_equal(j->disposals, 0);
  uv_sem_post(&j->go);
}

/* A task begins the work, which then waits. */
static void make_busy(neap_vm *vm, job *j, neap_done_fn done) {
  job_holds(j);
  spawn(prepare(vm, j), "await(work())", done, j);
}

static void the_close_waits_for_work(void **state) {
  job j = {0};
  int closed = 0;
  neap_vm *vm = new_vm(NULL);
  (void)state;
  make_busy(vm, &j, let_go);
  while (neap_tick(vm, 0) == 1)
    ;
  uv_sem_wait(&j.begun);
  assert_int_equal(neap_close(vm, set_flag, &closed), NEAP_OK);
  assert_true(closed);
  assert_int_equal(j.worked, 1);
  assert_int_equal(j.after, 0);
  assert_int_equal(j.disposals, 1);
  job_free(&j);
}

static void on_a_hosts_loop_the_end_of_work_ends_the_close(void **state) {
  job j = {0};
  uv_loop_t loop;
  neap_vm *vm;
  int closed = 0;
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  vm = vm_on(&loop, 0);
  make_busy(vm, &j, NULL);
  while (j.status == NEAP_OK)
    uv_run(&loop, UV_RUN_NOWAIT);
  uv_sem_wait(&j.begun);
  assert_int_equal(neap_close(vm, set_flag, &closed), NEAP_OK);
  for (int i = 0; i < 3; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_false(closed);
  assert_int_equal(j.disposals, 0);
  uv_sem_post(&j.go);
  close_loop(&loop);
  assert_true(closed);
  assert_int_equal(j.worked, 1);
  assert_int_equal(j.after, 0);
  assert_int_equal(j.disposals, 1);
  job_free(&j);
}

/* The process of the test below. */
static int work_without_threads(void) {
  static const struct rlimit none = {1, 1};
  job j = {0};
  neap_vm *vm;
  if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0 ||
      setrlimit(RLIMIT_NPROC, &none) != 0)
    return 1;
  vm = prepare(new_vm(NULL), &j);
  run_script(vm, "local ok, e = pcall(function() await(work()) end) "
                 "assert(not ok and e == 'script:1: work: there are no "
                 "threads: resource temporarily unavailable', e)");
  assert_int_equal(j.status, NEAP_ESCRIPT);
  assert_int_equal(j.disposals, 1);
  close_vm(vm);
  return 0;
}

/* First: later the pool has its threads. */
static void where_there_are_no_threads_the_script_is_told(void **state) {
  pid_t child;
  int status;
  (void)state;
  if (getuid() != 0)
    skip(); /* who may not become somebody else, whose threads are counted */
  child = fork();
  assert_true(child >= 0);
  if (child == 0)
    _exit(work_without_threads());
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(where_there_are_no_threads_the_script_is_told),
      cmocka_unit_test(work_runs_on_another_thread_and_then_the_task_goes_on),
      cmocka_unit_test(the_end_of_work_calls_the_wakeup_of_the_configuration),
      cmocka_unit_test(work_needs_neither_after_nor_dispose),
      cmocka_unit_test(after_sees_the_arguments_of_the_call),
      cmocka_unit_test(after_may_fail),
      cmocka_unit_test(after_may_suspend_again),
      cmocka_unit_test(work_that_cannot_begin_is_disposed_of),
      cmocka_unit_test(work_that_has_begun_ends_without_its_task),
      cmocka_unit_test(work_that_has_not_begun_is_left_out),
      cmocka_unit_test(work_that_has_ended_may_have_no_task_any_more),
      cmocka_unit_test(the_close_waits_for_work),
      cmocka_unit_test(on_a_hosts_loop_the_end_of_work_ends_the_close),
  };
  char pool[20];
  snprintf(pool, sizeof pool, "%d", POOL);
  if (setenv("UV_THREADPOOL_SIZE", pool, 1) != 0)
    return 1;
  return cmocka_run_group_tests_name("offload", tests, NULL, NULL);
}
