/*
** object.c - tests host objects: C data with methods.
*/
#include "threads.h"

typedef struct file {
  int lines;     /* that were read */
  int finalized; /* calls of the finalizer */
} file;

static int file_read(neap_frame *frame, void *ud) {
  file *f = ud;
  lua_Integer n = 1;
  int status = NEAP_OK;
  if (neap_arg_count(frame) > 0)
    status = neap_arg_integer(frame, 1, &n);
  if (status != NEAP_OK)
    return status;
  f->lines += (int)n;
  return neap_return(frame, neap_integer(f->lines));
}

static int file_fail(neap_frame *frame, void *ud) {
  (void)ud;
  return neap_fail(frame, "no such line");
}

static int file_length(neap_frame *frame, void *ud) {
  file *f = ud;
  return neap_return(frame, neap_integer(f->lines));
}

static int file_fetch(neap_frame *frame, void *ud) {
  (void)ud;
  return neap_return(frame, neap_arg(frame, 1));
}

static void file_finalize(void *object) {
  file *f = object;
  f->finalized++;
}

static const neap_method file_methods[] = {
    {"read", file_read, 0},      {"fail", file_fail, 0},
    {"fetch", file_fetch, 1},     {"__len", file_length, 0},
    {"__call", file_read, 0},    {"__close", file_length, 0},
    {NULL, NULL, 0}};
static const neap_class file_class = {"File", file_methods, file_finalize};

static const neap_class socket_class = {"Socket", file_methods, NULL};
static const neap_class bare_class = {"Bare", NULL, NULL};

/* Makes an object, the global of that name. */
static void add(neap_vm *vm, const char *name, const neap_class *type,
                void *object) {
  neap_value value;
  assert_int_equal(neap_object_new(vm, type, object, &value), NEAP_OK);
  assert_int_equal(value.type, NEAP_OBJECT);
  assert_int_equal(neap_set(vm, name, &value), NEAP_OK);
}

static neap_vm *new_vm_with(file *f) {
  neap_vm *vm = new_vm(NULL);
  memset(f, 0, sizeof *f);
  add(vm, "file", &file_class, f);
  return vm;
}

static neap_value get(neap_vm *vm, const char *path) {
  neap_value value;
  assert_int_equal(neap_get(vm, path, &value), NEAP_OK);
  return value;
}

/* Runs a chunk when nothing is borrowed any more. */
static void call_lua(neap_vm *vm, const char *code) {
  neap_value function = load_text(vm, "call", code);
  neap_error_info info;
  if (neap_call(vm, &function, NULL, 0, NULL, 0, 0) != NEAP_OK) {
    neap_error(vm, &info);
    fail_msg("%s", info.message);
  }
}

/* Checks the error of a chunk. */
static void check_error(neap_vm *vm, const char *code, const char *error) {
  run_lua_failing(vm, code);
  assert_contains(lua_tostring(neap_lua(vm), -1), error);
  lua_settop(neap_lua(vm), 0);
}

/* {======================================================
** Methods
** ======================================================= */

static void methods_are_called_with_the_object(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  run_lua(vm, "assert(file:read() == 1 and file:read(4) == 5)\n"
              "assert(file.read(file, 2) == 7)");
  assert_int_equal(f.lines, 7);
  close_vm(vm);
}

static void metamethods_too(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  run_lua(vm, "assert(file(3) == 3 and #file == 3)\n"
              "do local x <close> = file end\n"
              "assert(file.__len == nil and file.__gc == nil)");
  close_vm(vm);
}

static void an_object_is_written_with_its_class(void **state) {
  file f;
  char text[100];
  neap_value value;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  run_lua(vm, "assert(tostring(file):find '^File: 0x')\n"
              "assert(type(file) == 'userdata')");
  value = get(vm, "file");
  neap_describe(vm, &value, text, sizeof text);
  assert_memory_equal(text, "File: 0x", 8);
  close_vm(vm);
}

static void scripts_do_not_reach_the_metatable(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  run_lua(vm, "assert(getmetatable(file) == false)\n"
              "assert(not pcall(setmetatable, file, {}))\n"
              "assert(not pcall(function() file.x = 1 end))\n"
              "assert(file.x == nil)");
  close_vm(vm);
}

static void errors_of_methods_are_as_in_lua(void **state) {
  file f, other = {0, 0};
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  add(vm, "socket", &socket_class, &other);
  check_error(vm, "\nfile:read('x')",
              ":2: bad argument #1 to 'read' (integer expected, got string)");
  check_error(vm, "\nfile:fail()", ":2: no such line");
  check_error(vm, "\nfile.read()",
              ":2: calling 'read' on bad self (File expected, got no value)");
  check_error(vm, "file.read({})", "(File expected, got table)");
  check_error(vm, "file.read(socket)", "(File expected, got Socket)");
  check_error(vm, "file.read(io.stdout)", "(File expected, got userdata)");
  check_error(vm, "file.read(sleep(0))",
              "(File expected, got coroutine object)");
  assert_int_equal(f.lines + other.lines, 0);
  close_vm(vm);
}

static void a_class_may_have_no_methods(void **state) {
  neap_vm *vm = new_vm(NULL);
  int object;
  (void)state;
  add(vm, "bare", &bare_class, &object);
  run_lua(vm, "assert(bare.x == nil and bare == bare)\n"
              "assert(tostring(bare):find '^Bare: ')\n"
              "bare = nil collectgarbage()");
  close_vm(vm);
}

static int field(neap_frame *frame, void *ud) {
  const char *name;
  size_t size;
  int status = neap_arg_string(frame, 1, &name, &size);
  (void)ud;
  return status == NEAP_OK ? neap_return(frame, neap_bytes(name, size))
                           : status;
}

static int set_field(neap_frame *frame, void *ud) {
  lua_Integer n;
  int status = neap_arg_integer(frame, 2, &n);
  if (status == NEAP_OK)
    *(lua_Integer *)ud = n;
  return status;
}

static const neap_method record_methods[] = {{"read", field, 0},
                                             {"__newindex", set_field, 0},
                                             {"__index", field, 0},
                                             {"other", field, 0},
                                             {NULL, NULL, 0}};
static const neap_class record_class = {"Record", record_methods, NULL};

static void an_index_of_the_class_is_for_all_but_its_methods(void **state) {
  neap_vm *vm = new_vm(NULL);
  lua_Integer n = 0;
  (void)state;
  add(vm, "r", &record_class, &n);
  run_lua(vm, "assert(r.name == 'name' and r[12] == '12')\n"
              "assert(r:read('x') == 'x' and r:other('y') == 'y')\n"
              "r.x = 7");
  assert_int_equal(n, 7);
  check_error(vm, "return r[{}]", "bad argument #1 to '__index' (string");
  close_vm(vm);
}

static void async_methods_give_coroutine_objects(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  run_lua(vm, "local main = async(function()\n"
              "  local c = file:fetch('x')\n"
              "  assert(tostring(c):find 'object File.fetch at ')\n"
              "  local r = await(gather(c, file:fetch('y')))\n"
              "  assert(r[1] == 'x' and r[2] == 'y')\n"
              "  return await(file:fetch(1))\n"
              "end)\n"
              "assert(run(main()) == 1)");
  close_vm(vm);
}

/* A coroutine object keeps the object. */
static void an_async_method_keeps_its_object(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  run_lua(vm, "local c = file:fetch('x') file = nil collectgarbage()\n"
              "assert(run(c) == 'x')");
  assert_int_equal(f.finalized, 0);
  close_vm(vm);
  assert_int_equal(f.finalized, 1);
}

/* ====================================================== } */

/* {======================================================
** Objects in C
** ======================================================= */

static int take_file(neap_frame *frame, void *ud) {
  void *object;
  int status = neap_arg_object(frame, 1, &file_class, &object);
  if (status != NEAP_OK) {
    assert_null(object);
    return status;
  }
  *(void **)ud = object;
  return NEAP_OK;
}

static void a_function_takes_an_object_of_a_class(void **state) {
  file f, other = {0, 0};
  void *taken = NULL;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  add(vm, "socket", &socket_class, &other);
  assert_int_equal(neap_register(vm, "take", take_file, &taken), NEAP_OK);
  run_lua(vm, "take(file)");
  assert_ptr_equal(taken, &f);
#define BAD "bad argument #1 to 'take' "
  check_error(vm, "take()", BAD "(File expected, got no value)");
  check_error(vm, "take(nil)", BAD "(File expected, got nil)");
  check_error(vm, "take(socket)", BAD "(File expected, got Socket)");
  check_error(vm, "take(io.stdout)", BAD "(File expected, got userdata)");
#undef BAD
  close_vm(vm);
}

static void the_pointer_is_got_from_the_value(void **state) {
  file f;
  neap_value value, forged;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  value = get(vm, "file");
  assert_int_equal(value.type, NEAP_OBJECT);
  assert_ptr_equal(neap_object_get(vm, &value, &file_class), &f);
  assert_null(neap_object_get(vm, &value, &socket_class));
  value = get(vm, "io.stdout");
  assert_int_equal(value.type, NEAP_OTHER);
  assert_null(neap_object_get(vm, &value, &file_class));
  value.type = NEAP_OBJECT; /* it is not */
  assert_null(neap_object_get(vm, &value, &file_class));
  value = neap_integer(1);
  assert_null(neap_object_get(vm, &value, &file_class));
  memset(&forged, 0, sizeof forged);
  forged.type = NEAP_OBJECT;
  assert_null(neap_object_get(vm, &forged, &file_class));
  close_vm(vm);
}

static void each_call_makes_a_new_object(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  add(vm, "again", &file_class, &f);
  run_lua(vm, "assert(file ~= again and file.read == again.read)");
  close_vm(vm);
  assert_int_equal(f.finalized, 2);
}

static int no_function(neap_frame *frame, void *ud) {
  (void)frame;
  (void)ud;
  return NEAP_OK;
}

static void a_bad_class_or_object_is_refused(void **state) {
  static const neap_method with_gc[] = {{"__gc", no_function, 0},
                                        {NULL, NULL, 0}};
  static const neap_method without[] = {{"x", NULL, 0}, {NULL, NULL, 0}};
  static const neap_class classes[] = {{"A", with_gc, file_finalize},
                                       {"B", without, file_finalize}};
  neap_vm *vm = new_vm(NULL);
  file f = {0, 0};
  neap_value value = neap_integer(1);
  (void)state;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(neap_object_new(vm, &classes[i], &f, &value),
                     NEAP_EINVAL);
    assert_int_equal(value.type, NEAP_NIL);
  }
  assert_int_equal(neap_object_new(vm, &file_class, NULL, &value),
                   NEAP_EINVAL);
  close_vm(vm);
  assert_int_equal(f.finalized, 0);
}

static void a_class_serves_several_vms(void **state) {
  file f, g;
  neap_vm *a = new_vm_with(&f), *b = new_vm_with(&g);
  neap_value value;
  (void)state;
  run_lua(a, "file:read()");
  run_lua(b, "file:read() file:read()");
  assert_int_equal(f.lines, 1);
  assert_int_equal(g.lines, 2);
  value = get(a, "file");
  assert_null(neap_object_get(b, &value, &file_class));
  assert_int_equal(neap_revoke(b, &value), NEAP_EINVAL);
  close_vm(a);
  run_lua(b, "file:read()");
  close_vm(b);
}

/* ====================================================== } */

/* {======================================================
** The end of objects
** ======================================================= */

static void an_object_is_finalized_when_it_is_collected(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  call_lua(vm, "collectgarbage()");
  assert_int_equal(f.finalized, 0);
  call_lua(vm, "file = nil collectgarbage()");
  assert_int_equal(f.finalized, 1);
  close_vm(vm);
  assert_int_equal(f.finalized, 1);
}

static void or_when_the_vm_is_closed(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  close_vm(vm);
  assert_int_equal(f.finalized, 1);
}

static void also_in_a_sandbox(void **state) {
  neap_config config;
  neap_vm *vm;
  file f = {0, 0};
  (void)state;
  neap_config_init(&config);
  vm = new_vm(&config);
  add(vm, "file", &file_class, &f);
  run_lua(vm, "assert(file:read() == 1)");
  close_vm(vm);
  assert_int_equal(f.finalized, 1);
}

static void a_retained_object_lives(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  neap_value value = get(vm, "file");
  (void)state;
  assert_int_equal(neap_retain(vm, &value), NEAP_OK);
  call_lua(vm, "file = nil collectgarbage()");
  assert_int_equal(f.finalized, 0);
  assert_ptr_equal(neap_object_get(vm, &value, &file_class), &f);
  assert_int_equal(neap_release(vm, &value), NEAP_OK);
  call_lua(vm, "collectgarbage()");
  assert_int_equal(f.finalized, 1);
  close_vm(vm);
}

static void a_revoked_object_is_gone(void **state) {
  file f;
  void *taken = NULL;
  neap_vm *vm = new_vm_with(&f);
  neap_value value = get(vm, "file");
  (void)state;
  assert_int_equal(neap_register(vm, "take", take_file, &taken), NEAP_OK);
  run_lua(vm, "pending = file:fetch('x')");
  assert_int_equal(neap_revoke(vm, &value), NEAP_OK);
  assert_int_equal(f.finalized, 1);
  assert_null(neap_object_get(vm, &value, &file_class));
  check_error(vm, "\nfile:read()",
              ":2: calling 'read' on bad self (this File is gone)");
  check_error(vm, "return #file", "this File is gone");
  check_error(vm, "file()", "this File is gone");
  check_error(vm, "run(file:fetch())", "this File is gone");
  check_error(vm, "run(pending)", "this File is gone");
  check_error(vm, "take(file)",
              "bad argument #1 to 'take' (this File is gone)");
  assert_null(taken);
  run_lua(vm, "assert(tostring(file):find '^File: ')");
  assert_int_equal(neap_revoke(vm, &value), NEAP_EALREADY);
  close_vm(vm);
  assert_int_equal(f.finalized, 1);
  assert_int_equal(f.lines, 0);
}

static void what_is_no_object_is_not_revoked(void **state) {
  neap_vm *vm = new_vm(NULL);
  neap_value values[3];
  (void)state;
  values[0] = neap_nil();
  values[1] = get(vm, "print");
  values[2] = get(vm, "io.stdout");
  for (int i = 0; i < 3; i++)
    assert_int_equal(neap_revoke(vm, &values[i]), NEAP_EINVAL);
  close_vm(vm);
}

static int close_file(neap_frame *frame, void *ud) {
  neap_value *value = ud;
  (void)frame;
  return neap_revoke(neap_frame_vm(frame), value);
}

static void a_script_that_ends_an_object_cannot_go_on_with_it(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  neap_value value = get(vm, "file");
  (void)state;
  assert_int_equal(neap_retain(vm, &value), NEAP_OK);
  assert_int_equal(neap_register(vm, "close", close_file, &value), NEAP_OK);
  run_lua(vm, "file:read() close()\n"
              "local ok, e = pcall(file.read, file)\n"
              "assert(not ok and e:find 'this File is gone')\n"
              "assert(not pcall(close))");
  close_vm(vm);
}

/* An object that a finalizer brings back is gone. */
static void an_object_that_comes_back_is_gone(void **state) {
  file f;
  neap_vm *vm = new_vm_with(&f);
  (void)state;
  call_lua(vm, "setmetatable({file}, {__gc = function(t) back = t[1] end})\n"
               "file = nil collectgarbage() collectgarbage()");
  assert_int_equal(f.finalized, 1);
  check_error(vm, "back:read()", "this File is gone");
  close_vm(vm);
  assert_int_equal(f.finalized, 1);
}

/* ====================================================== } */

/* {======================================================
** What can go wrong everywhere
** ======================================================= */

typedef struct elsewhere_data {
  neap_vm *vm;
  neap_value value;
  file other;
  int statuses[2];
  void *got;
} elsewhere_data;

static void use_all(void *ud) {
  elsewhere_data *d = ud;
  neap_value value;
  d->statuses[0] = neap_object_new(d->vm, &file_class, &d->other, &value);
  d->statuses[1] = neap_revoke(d->vm, &d->value);
  d->got = neap_object_get(d->vm, &d->value, &file_class);
}

static void another_thread_is_told_so(void **state) {
  elsewhere_data d;
  file f;
  (void)state;
  memset(&d, 0, sizeof d);
  d.vm = new_vm_with(&f);
  d.value = get(d.vm, "file");
  elsewhere(use_all, &d);
  assert_int_equal(d.statuses[0], NEAP_ETHREAD);
  assert_int_equal(d.statuses[1], NEAP_ETHREAD);
  assert_null(d.got);
  assert_int_equal(f.finalized + d.other.finalized, 0);
  close_vm(d.vm);
}

/* Makes objects in a VM that knows the class or not. */
static int use_objects(neap_vm *vm, const neap_class *type, file *f) {
  neap_value value;
  int status = neap_object_new(vm, type, f, &value);
  if (status != NEAP_OK)
    return status;
  assert_ptr_equal(neap_object_get(vm, &value, type), f);
  status = neap_set(vm, "object", &value);
  if (status == NEAP_OK)
    status = neap_revoke(vm, &value);
  return status;
}

static void asking_for_the_pointer_takes_no_memory(void **state) {
  heap memory = {0, -1, 0, 0};
  neap_vm *vm = counted_vm(&memory, 0);
  neap_value value = neap_text("a text that is new to Lua, whose memory ends");
  (void)state;
  memory.countdown = 0;
  assert_null(neap_object_get(vm, &value, &file_class));
  memory.countdown = -1;
  assert_int_equal(memory.failures, 0);
  close_vm(vm);
}

static void every_request_for_memory_may_fail(void **state) {
  (void)state;
  for (long n = 0;; n++) {
    heap memory = {0, -1, 0, 0};
    neap_vm *vm = counted_vm(&memory, 0);
    file f = {0, 0};
    int status, finalized;
    memory.countdown = n;
    status = use_objects(vm, &file_class, &f);
    memory.countdown = -1;
    if (memory.failures > 0)
      assert_int_equal(status, NEAP_ENOMEM);
    run_lua(vm, "collectgarbage()");
    finalized = f.finalized;
    assert_true(finalized <= 1);
    assert_int_equal(use_objects(vm, &file_class, &f), NEAP_OK);
    assert_int_equal(f.finalized, finalized + 1);
    run_lua(vm, "assert(tostring(object):find '^File: ')");
    close_vm(vm);
    assert_int_equal(memory.blocks, 0);
    if (memory.failures == 0) {
      assert_true(n > 20);
      break;
    }
  }
}

/* ====================================================== } */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(methods_are_called_with_the_object),
      cmocka_unit_test(metamethods_too),
      cmocka_unit_test(an_object_is_written_with_its_class),
      cmocka_unit_test(scripts_do_not_reach_the_metatable),
      cmocka_unit_test(errors_of_methods_are_as_in_lua),
      cmocka_unit_test(a_class_may_have_no_methods),
      cmocka_unit_test(an_index_of_the_class_is_for_all_but_its_methods),
      cmocka_unit_test(async_methods_give_coroutine_objects),
      cmocka_unit_test(an_async_method_keeps_its_object),
      cmocka_unit_test(a_function_takes_an_object_of_a_class),
      cmocka_unit_test(the_pointer_is_got_from_the_value),
      cmocka_unit_test(each_call_makes_a_new_object),
      cmocka_unit_test(a_bad_class_or_object_is_refused),
      cmocka_unit_test(a_class_serves_several_vms),
      cmocka_unit_test(an_object_is_finalized_when_it_is_collected),
      cmocka_unit_test(or_when_the_vm_is_closed),
      cmocka_unit_test(also_in_a_sandbox),
      cmocka_unit_test(a_retained_object_lives),
      cmocka_unit_test(a_revoked_object_is_gone),
      cmocka_unit_test(what_is_no_object_is_not_revoked),
      cmocka_unit_test(a_script_that_ends_an_object_cannot_go_on_with_it),
      cmocka_unit_test(an_object_that_comes_back_is_gone),
      cmocka_unit_test(another_thread_is_told_so),
      cmocka_unit_test(asking_for_the_pointer_takes_no_memory),
      cmocka_unit_test(every_request_for_memory_may_fail),
  };
  return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
