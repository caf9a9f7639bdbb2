/*
** lock.c - Lock, Semaphore, BoundedSemaphore: so many holders at a time.
**
**   do
**     local guard <close> = await(lock:acquire())
**     counter = await(changed(counter))
**   end                          -- releases, however the block is left
**
** acquire() makes a coroutine object of a kind of its own, a hold. Its await
** takes a permit, or waits for one in line, and gives the hold itself, which
** is a guard from then on: its end as a to-be-closed variable gives the
** permit back.
**
** Waiters get permits in the order in which they came. A permit goes
** straight to the waiter that is woken for it; until that one runs nobody
** overtakes, and if it is cancelled before, it hands the permit on.
**
** A release by hand ends a hold, too, so that its guard is refused and takes
** nobody else's permit: of a Lock, which has one permit, the present hold,
** whosever it is; of a semaphore the latest hold of the task that calls, if
** it has one. For that a semaphore has a table, LATEST, of the holds by the
** numbers of their tasks; weak, since a hold that is dropped never ends.
*/
#include "vm.h"

enum { LATEST = 1 }; /* user value of a semaphore */
enum { LOCK = 1 };   /* user value of a hold */

static const neap__type lock_type = {NEAP__LOCK, "Lock"};
static const neap__type semaphore_type = {NEAP__SEMAPHORE, "Semaphore"};
static const neap__type bounded_type = {NEAP__SEMAPHORE, "BoundedSemaphore"};

static int is_lock(const neap__lock *lock) { return lock->type == &lock_type; }

/* {======================================================
** Permits
** ======================================================= */

/* Whether a newcomer must wait: nobody overtakes. */
static int must_wait(const neap__lock *lock) {
  return lock->value == 0 || lock->woken > 0;
}

/* Whether somebody holds the Lock. */
static int is_held(const neap__lock *lock) {
  return lock->value == 0 && lock->woken == 0;
}

/* Gives a free permit to the first in line; whether there was one. */
static int wake_next(neap_vm *vm, neap__lock *lock) {
  if (!neap__waitlist_wake_first(vm, &lock->line))
    return 0;
  lock->woken++;
  lock->value--;
  return 1;
}

/* One that was woken has run. Newcomers had to let it go first, even when
   there were permits for them: now these are for them. */
static void has_run(neap_vm *vm, neap__lock *lock) {
  lock->woken--;
  while (lock->value > 0 && wake_next(vm, lock))
    ;
}

/* One that was woken is not to run on: its permit is free again. */
static void pass_on(neap_vm *vm, neap__lock *lock) {
  lock->value++;
  has_run(vm, lock);
}

/* Gives a permit back. */
static void release(lua_State *L, neap__lock *lock) {
  if (lock->value >= lock->bound)
    neap__usage(L, 1, "%s.release: all permits are back already",
                lock->type->name);
  lock->value++;
  (void)wake_next(neap__vm(L), lock);
}

/* ====================================================== } */

/* {======================================================
** Holds
** ======================================================= */

/* Gives the hold at index 1 its permit; pushes it, a guard. */
static void begin(lua_State *L, neap__lock *lock, neap__hold *hold) {
  hold->number = ++lock->holds;
  lock->present = hold->number;
  lua_pushvalue(L, 1);
  neap__ref_push(L, NEAP__GUARD);
  lua_setmetatable(L, -2);
}

/* Puts the table LATEST of the semaphore of the hold at index 1 at index 2,
   and what stands there for the task at index 3: from now on the hold. */
static void note_latest(lua_State *L, neap__hold *hold,
                        const neap__task *task) {
  hold->task = (lua_Integer)task->id;
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, LOCK);
  lua_getiuservalue(L, 2, LATEST);
  lua_replace(L, 2);
  lua_rawgeti(L, 2, hold->task);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 2, hold->task);
}

/* The loop runs on a task that has waited with the hold at index 1. */
static int woken(lua_State *L, int status, lua_KContext ctx) {
  neap_vm *vm = neap__vm(L);
  neap__task *task = vm->current;
  neap__hold *hold = (neap__hold *)neap__known(L, 1);
  neap__lock *lock = hold->lock;
  (void)status;
  (void)ctx;
  if (task->must_cancel || task->interrupted) {
    if (!is_lock(lock))
      lua_rawseti(L, 2, hold->task);
    if (!task->interrupted)
      pass_on(vm, lock);
    return neap__raise_cancelled(L, task);
  }
  has_run(vm, lock);
  begin(L, lock, hold);
  return 1;
}

/* Lua: waits with a hold until it has its permit. */
static int wait(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  neap__hold *hold = (neap__hold *)neap__known(L, 1);
  if (!is_lock(hold->lock))
    note_latest(L, hold, vm->current);
  if (!must_wait(hold->lock)) { /* a finalizer has just released it? */
    hold->lock->value--;
    begin(L, hold->lock, hold);
    return 1;
  }
  return neap__waitlist_suspend(vm, L, &hold->lock->line, woken);
}

/* The same; by its function the frame is known in tracebacks. */
static int lock_wait(lua_State *L) { return wait(L); }
static int semaphore_wait(lua_State *L) { return wait(L); }

const char *neap__acquire_name(lua_CFunction f) {
  return f == lock_wait        ? "Lock.acquire"
         : f == semaphore_wait ? "Semaphore.acquire"
                               : NULL;
}

void neap__hold_pass_on(neap_vm *vm, lua_State *thread, lua_CFunction f) {
  if (neap__acquire_name(f) != NULL)
    pass_on(vm, ((neap__hold *)neap__known(thread, 1))->lock);
}

static lua_CFunction wait_of(const neap__hold *hold) {
  return is_lock(hold->lock) ? lock_wait : semaphore_wait;
}

const char *neap__hold_name(lua_State *L, const neap__hold *hold) {
  return lua_pushstring(L, neap__acquire_name(wait_of(hold)));
}

int neap__hold_await(neap_vm *vm, lua_State *L, neap__hold *hold) {
  neap__lock *lock = hold->lock;
  neap__coroutine_take(L, 1, &hold->coroutine, NEAP__AWAITED, 1);
  if (must_wait(lock)) {
    neap__check_suspend(vm, L, 1);
    lua_settop(L, 1);
    lua_pushcfunction(L, wait_of(hold));
    lua_insert(L, 1);
    return neap__await_call(vm, L);
  }
  if (!is_lock(lock))
    note_latest(L, hold, vm->current);
  lock->value--;
  begin(L, lock, hold);
  return 1;
}

/* Lua: the __close of a guard */
static int guard_close(lua_State *L) {
  neap__hold *hold = (neap__hold *)neap__coroutine_at(L, 1);
  neap__lock *lock;
  if (hold == NULL || hold->coroutine.body != NEAP__HOLD)
    return luaL_typeerror(L, 1, "guard");
  lock = hold->lock;
  if (hold->number == 0 || (is_lock(lock) && lock->present != hold->number))
    return neap__usage(L, 1, "%s: the hold of this guard has ended before: by "
                             "release(), or the guard was closed twice",
                       lock->type->name);
  hold->number = 0;
  if (is_lock(lock))
    lock->present = 0;
  else {
    lua_getiuservalue(L, 1, LOCK);
    lua_getiuservalue(L, -1, LATEST);
    lua_rawgeti(L, -1, hold->task);
    if (neap__known(L, -1) == hold) {
      lua_pushnil(L);
      lua_rawseti(L, -3, hold->task);
    }
  }
  release(L, lock);
  return 0;
}

/* ====================================================== } */

/* {======================================================
** Locks and semaphores
** ======================================================= */

/* The Lock or semaphore at index 1; raises a usage error of the method when
   it is none. */
static neap__lock *check(lua_State *L, neap__kind kind, const char *method) {
  neap__lock *lock = (neap__lock *)lua_touserdata(L, 1);
  const char *class_name = lock_type.name, *self = "lock";
  if (lock != NULL && lua_rawlen(L, 1) == sizeof *lock &&
      (kind == NEAP__LOCK
           ? lock->type == &lock_type
           : lock->type == &semaphore_type || lock->type == &bounded_type))
    return lock;
  if (kind != NEAP__LOCK) {
    class_name = semaphore_type.name;
    self = "semaphore";
  }
  lua_settop(L, 1);
  neap__usage(L, 1, "%s.%s: a %s expected, got %s; write %s:%s()",
              class_name, method, class_name, neap__describe(L, 1), self,
              method);
  return NULL; /* not reached */
}

static int acquire(lua_State *L, neap__lock *lock) {
  neap__hold *hold =
      (neap__hold *)neap__coroutine_new(L, NEAP__HOLD, sizeof *hold, LOCK);
  hold->lock = lock;
  hold->number = 0;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, LOCK);
  return 1;
}

/* Lua: lock:acquire() -> coroutine object that gives a guard */
static int lock_acquire(lua_State *L) {
  return acquire(L, check(L, NEAP__LOCK, "acquire"));
}
static int semaphore_acquire(lua_State *L) {
  return acquire(L, check(L, NEAP__SEMAPHORE, "acquire"));
}

/* Lua: lock:release(): ends the present hold, whosever it is. */
static int lock_release(lua_State *L) {
  neap__lock *lock = check(L, NEAP__LOCK, "release");
  if (!is_held(lock))
    return neap__usage(L, 1, "Lock.release: the lock is not held");
  lock->present = 0;
  release(L, lock);
  return 0;
}

/* Lua: semaphore:release(): one permit more. A usage error when a
   BoundedSemaphore has all of its permits. */
static int semaphore_release(lua_State *L) {
  neap__lock *lock = check(L, NEAP__SEMAPHORE, "release");
  const neap__task *task = neap__vm(L)->current;
  release(L, lock);
  if (task == NULL)
    return 0;
  lua_getiuservalue(L, 1, LATEST);
  if (lua_rawgeti(L, -1, (lua_Integer)task->id) != LUA_TNIL) {
    ((neap__hold *)neap__known(L, -1))->number = 0;
    lua_pushnil(L);
    lua_rawseti(L, -3, (lua_Integer)task->id);
  }
  return 0;
}

/* Lua: lock:locked() -> whether somebody holds it */
static int lock_locked(lua_State *L) {
  lua_pushboolean(L, is_held(check(L, NEAP__LOCK, "locked")));
  return 1;
}

/* Lua: semaphore:locked() -> whether acquire() would wait */
static int semaphore_locked(lua_State *L) {
  lua_pushboolean(L, must_wait(check(L, NEAP__SEMAPHORE, "locked")));
  return 1;
}

/* Pushes the text of one that is locked or not, after which comes `state`. */
static int describe(lua_State *L, const neap__lock *lock, int locked) {
  lua_Integer waiters = lock->woken + lock->line.length;
  lua_pushfstring(L, "<%s %s", lock->type->name,
                  locked ? "locked" : "unlocked");
  if (!locked && !is_lock(lock))
    lua_pushfstring(L, " value=%I", (LUAI_UACINT)lock->value);
  if (waiters > 0)
    lua_pushfstring(L, " waiters=%I", (LUAI_UACINT)waiters);
  lua_pushliteral(L, ">");
  lua_concat(L, lua_gettop(L) - 1);
  return 1;
}

static int lock_tostring(lua_State *L) {
  const neap__lock *lock = check(L, NEAP__LOCK, "__tostring");
  lua_settop(L, 1);
  return describe(L, lock, is_held(lock));
}
static int semaphore_tostring(lua_State *L) {
  const neap__lock *lock = check(L, NEAP__SEMAPHORE, "__tostring");
  lua_settop(L, 1);
  return describe(L, lock, must_wait(lock));
}

/* Lua: present(value [, number]) -> number of the present hold of a Lock, 0
   when it is free; nothing for any other value. Condition ends a hold and
   later lets it go on, under its number. */
int neap__lock_present(lua_State *L) {
  neap__lock *lock = (neap__lock *)lua_touserdata(L, 1);
  if (lock == NULL || lua_rawlen(L, 1) != sizeof *lock || !is_lock(lock))
    return 0;
  lock->present = luaL_optinteger(L, 2, lock->present);
  lua_pushinteger(L, lock->present);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Construction
** ======================================================= */

/* Makes one with n permits and so many user values; pushes it. */
static void make(lua_State *L, const neap__type *type, lua_Integer n,
                 lua_Integer bound, int values) {
  neap__lock *lock = (neap__lock *)lua_newuserdatauv(L, sizeof *lock, values);
  lock->type = type;
  neap__waitlist_prepare(&lock->line, type->name);
  lock->value = n;
  lock->bound = bound;
  lock->woken = 0;
  lock->holds = 0;
  lock->present = 0;
  neap__metatable_push(L, type);
  lua_setmetatable(L, -2);
}

/* Lua: Lock() -> a lock that nobody holds */
int neap__lock_make(lua_State *L) {
  make(L, &lock_type, 1, 1, 0);
  return 1;
}

static int semaphore_make(lua_State *L, const neap__type *type) {
  lua_Integer n = 1;
  int ok = 1;
  if (!lua_isnoneornil(L, 1)) {
    n = lua_tointegerx(L, 1, &ok);
    ok = ok && n >= 0 && lua_type(L, 1) == LUA_TNUMBER;
  }
  if (!ok)
    return neap__usage(L, 1, "%s: a whole number of permits expected, at "
                             "least 0", type->name);
  make(L, type, n, type == &bounded_type ? n : LUA_MAXINTEGER, LATEST);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_setiuservalue(L, -2, LATEST);
  return 1;
}

/* Lua: Semaphore([n]): so many permits, 1 when left out */
int neap__semaphore_make(lua_State *L) {
  return semaphore_make(L, &semaphore_type);
}

/* Lua: BoundedSemaphore([n]): one that never has more than at first */
int neap__bounded_semaphore_make(lua_State *L) {
  return semaphore_make(L, &bounded_type);
}

void neap__lock_init(lua_State *L) {
  static const luaL_Reg lock_methods[] = {{"acquire", lock_acquire},
                                          {"release", lock_release},
                                          {"locked", lock_locked},
                                          {NULL, NULL}};
  static const luaL_Reg semaphore_methods[] = {{"acquire", semaphore_acquire},
                                               {"release", semaphore_release},
                                               {"locked", semaphore_locked},
                                               {NULL, NULL}};
  static const luaL_Reg lock_metamethods[] = {{"__tostring", lock_tostring},
                                              {NULL, NULL}};
  static const luaL_Reg semaphore_metamethods[] = {
      {"__tostring", semaphore_tostring}, {NULL, NULL}};
  neap__metatable_new(L, &lock_type, lock_methods, lock_metamethods);
  neap__metatable_new(L, &semaphore_type, semaphore_methods,
                      semaphore_metamethods);
  lua_pop(L, 2);
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, "guard");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushcfunction(L, guard_close);
  lua_setfield(L, -2, "__close");
  neap__ref_set(L, NEAP__GUARD);
}

/* ====================================================== } */
