/*
** anchor.c - references from C to Lua values, and the pool of threads.
**
** Each value that is anchored stands in a Lua table, at a number of its own;
** a free number has the next free one instead, so that neither giving it a
** value nor dropping that can fail: Lua has the field already. The tables lie
** on the stack of a Lua thread that never runs: C finds them there in fewer
** instructions than in the registry. Scripts may find that thread by
** debug.getregistry; as one of a task they cannot run or close it.
*/
#include "vm.h"

#define MOST_IDLE 1024 /* threads kept for the next tasks */

/* Numbers: that there is room for at least, and in each table. The first one
   grows from one to the other by doubling. */
#define LEAST 16u
#define IN_TABLE 1024u

enum { FIRST = 1 }; /* stack of vm->keeper: the tables; then see vm->fresh */

static inline int table_of(uint32_t number) {
  return FIRST + (int)(number / IN_TABLE);
}

static inline lua_Integer field_of(uint32_t number) {
  return number % IN_TABLE + 1;
}

/* Lua: makes a keeper; that of before, if there is one, is empty. (A stack that
   was large stays so: therefore it is not used again.) */
static int keeper_new(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  lua_State *keeper = lua_newthread(L);
  *neap__extra(keeper) |= NEAP__TASK_THREAD;
  lua_newtable(L);
  lua_xmove(L, keeper, 1);
  if (vm->anchors_used > 0)
    return 0; /* of a finalizer that has run meanwhile */
  neap__ref_set(L, NEAP__KEEPER);
  vm->keeper = keeper;
  vm->anchors_room = 0;
  vm->anchors_free = 0;
  vm->anchors_total = 0;
  return 0;
}

void neap__anchor_init(lua_State *L) { keeper_new(L); }

/* Room for more numbers. The first table grows; the others have their size
   from the beginning: so a task never waits for a large table to be copied,
   and little is unused. */
static void add_room(neap_vm *vm, lua_State *L) {
  uint32_t room, larger;
  if (vm->anchors_room < IN_TABLE) {
    lua_pushvalue(vm->keeper, FIRST);
    lua_xmove(vm->keeper, L, 1);
  }
  else {
    lua_createtable(L, IN_TABLE, 0); /* a finalizer may run, and come here */
    if (!lua_checkstack(vm->keeper, 3)) /* for it, vm->fresh and a value */
      luaL_error(L, "not enough memory");
    lua_pushvalue(L, -1);
    lua_xmove(L, vm->keeper, 1);
    lua_insert(vm->keeper, table_of(vm->anchors_room));
  }
  room = vm->anchors_room;
  larger = room == 0 ? LEAST : room < IN_TABLE ? 2 * room : room + IN_TABLE;
  for (; room < larger; room++) {
    lua_pushinteger(L, 0);
    lua_rawseti(L, -2, field_of(room));
  }
  lua_pop(L, 1);
  vm->anchors_room = room;
}

int neap__anchor_reserve(neap_vm *vm, lua_State *L, uint32_t n) {
  int made = 0;
  for (; vm->anchors_used + n >= vm->anchors_room; made = 1) /* 0 is none */
    add_room(vm, L);
  return made;
}

uint32_t neap__anchor(neap_vm *vm, lua_State *L) {
  uint32_t number;
  (void)neap__anchor_reserve(vm, L, 1);
  number = vm->anchors_free;
  if (number == 0)
    number = ++vm->anchors_total;
  else {
    lua_rawgeti(vm->keeper, table_of(number), field_of(number));
    vm->anchors_free = (uint32_t)lua_tointeger(vm->keeper, -1);
    lua_pop(vm->keeper, 1);
  }
  vm->anchors_used++;
  lua_pushvalue(L, -1);
  lua_xmove(L, vm->keeper, 1);
  lua_rawseti(vm->keeper, table_of(number), field_of(number));
  return number;
}

void neap__anchor_push(lua_State *L, uint32_t anchor) {
  lua_State *keeper = neap__vm(L)->keeper;
  lua_rawgeti(keeper, table_of(anchor), field_of(anchor));
  lua_xmove(keeper, L, 1);
}

void neap__anchor_drop(neap_vm *vm, uint32_t anchor) {
  lua_pushinteger(vm->keeper, vm->anchors_free);
  lua_rawseti(vm->keeper, table_of(anchor), field_of(anchor));
  vm->anchors_free = anchor;
  vm->anchors_used--;
}

/* {======================================================
** Threads
** ======================================================= */

neap__thread neap__thread_acquire(neap_vm *vm, lua_State *L) {
  neap__thread thread;
  if (vm->pool_count > 0)
    return vm->pool[--vm->pool_count];
  thread.L = lua_newthread(L);
  *neap__extra(thread.L) |= NEAP__TASK_THREAD;
  thread.anchor = neap__anchor(vm, L);
  lua_pop(L, 1);
  return thread;
}

/* Room for one thread more; false: there are enough, or no memory. */
static int pool_reserve(neap_vm *vm) {
  uint32_t capacity = vm->pool_capacity;
  uint32_t larger = capacity == 0 ? 16 : 2 * capacity;
  neap__thread *pool;
  if (vm->pool_count < capacity)
    return 1;
  if (capacity >= MOST_IDLE)
    return 0;
  pool = (neap__thread *)neap__alloc(vm, vm->pool, capacity * sizeof *pool,
                                     larger * sizeof *pool);
  if (pool == NULL)
    return 0;
  vm->pool = pool;
  vm->pool_capacity = larger;
  return 1;
}

void neap__pool_free(neap_vm *vm) {
  if (vm->pool != NULL)
    (void)neap__alloc(vm, vm->pool, vm->pool_capacity * sizeof *vm->pool, 0);
  vm->pool = NULL;
  vm->pool_count = 0;
  vm->pool_capacity = 0;
}

static void pool_empty(neap_vm *vm) {
  while (vm->pool_count > 0)
    neap__anchor_drop(vm, vm->pool[--vm->pool_count].anchor);
}

void neap__thread_reset(neap_vm *vm, lua_State *L) {
  *neap__extra(L) &= ~NEAP__XPCALL;
  if (vm->hooked == L)
    vm->hooked = NULL;
  if (lua_gethook(L) != NULL) /* the next task starts without it */
    neap__interrupt_reset(vm, L);
}

void neap__thread_release(neap_vm *vm, neap__thread thread) {
  neap__thread_reset(vm, thread.L);
  if (!vm->starved && pool_reserve(vm))
    vm->pool[vm->pool_count++] = thread;
  else
    neap__anchor_drop(vm, thread.anchor);
  if (vm->starved) {
    pool_empty(vm);
    vm->starved = 0;
  }
}

void neap__pool_trim(neap_vm *vm, lua_State *L) {
  pool_empty(vm);
  if (vm->anchors_room <= LEAST || vm->anchors_used > 0)
    return; /* there is little; or something is left that needs its number */
  neap__pool_free(vm);
  lua_pushcfunction(L, keeper_new);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1); /* it stays large */
}

/* ====================================================== } */
