/*
** anchor.c - references from C to Lua values, and the pool of threads.
**
** One Lua table holds all anchored values, each at a number of its own;
** free numbers stand in a C array that always has room for every number
** given out, so that dropping an anchor cannot fail. A number without a value
** has `false`, so that neither can giving it one: Lua has the field already.
** The table lies on the stack of a Lua thread that never runs: C finds it
** there in fewer instructions than in the registry. Scripts may find that
** thread by debug.getregistry; as one of a task they cannot run or close it.
*/
#include "vm.h"

#define MOST_IDLE 1024 /* threads kept for the next tasks */

enum { TABLE = 1 }; /* stack of vm->keeper */

/* Lua: an empty table for the anchors, of which there are none. */
static int table_new(lua_State *L) {
  lua_State *keeper = neap__vm(L)->keeper;
  lua_newtable(L);
  lua_xmove(L, keeper, 1);
  lua_replace(keeper, TABLE);
  return 0;
}

void neap__anchor_init(lua_State *L) {
  neap_vm *vm = neap__vm(L);
  vm->keeper = lua_newthread(L);
  *neap__extra(vm->keeper) |= NEAP__TASK_THREAD;
  (void)luaL_ref(L, LUA_REGISTRYINDEX);
  lua_settop(vm->keeper, TABLE);
  table_new(L);
}

/* Room for as many numbers more. */
static void grow(neap_vm *vm, lua_State *L) {
  uint32_t i, capacity = vm->anchors_capacity;
  uint32_t larger = capacity == 0 ? 16 : capacity * 2;
  uint32_t *slots;
  lua_pushvalue(vm->keeper, TABLE);
  lua_xmove(vm->keeper, L, 1);
  for (i = capacity + 1; i <= larger; i++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, i);
  }
  lua_pop(L, 1);
  slots = (uint32_t *)neap__alloc(vm, vm->anchor_slots,
                                  capacity * sizeof *slots,
                                  larger * sizeof *slots);
  if (slots == NULL)
    luaL_error(L, "not enough memory");
  vm->anchor_slots = slots;
  vm->anchors_capacity = larger;
}

void neap__anchor_free(neap_vm *vm) {
  if (vm->pool != NULL)
    (void)neap__alloc(vm, vm->pool, vm->pool_capacity * sizeof *vm->pool, 0);
  vm->pool = NULL;
  vm->pool_count = 0;
  vm->pool_capacity = 0;
  if (vm->anchor_slots != NULL)
    (void)neap__alloc(vm, vm->anchor_slots,
                      vm->anchors_capacity * sizeof(uint32_t), 0);
  vm->anchor_slots = NULL;
  vm->anchors_capacity = 0;
  vm->anchors_free = 0;
  vm->anchors_total = 0;
}

uint32_t neap__anchor(neap_vm *vm, lua_State *L) {
  uint32_t number;
  if (vm->anchors_free == 0 && vm->anchors_total == vm->anchors_capacity)
    grow(vm, L);
  number = vm->anchors_free > 0 ? vm->anchor_slots[--vm->anchors_free]
                                : ++vm->anchors_total;
  lua_pushvalue(L, -1);
  lua_xmove(L, vm->keeper, 1);
  lua_rawseti(vm->keeper, TABLE, number);
  return number;
}

void neap__anchor_push(lua_State *L, uint32_t anchor) {
  lua_State *keeper = neap__vm(L)->keeper;
  lua_rawgeti(keeper, TABLE, anchor);
  lua_xmove(keeper, L, 1);
}

void neap__anchor_drop(neap_vm *vm, uint32_t anchor) {
  lua_pushboolean(vm->keeper, 0);
  lua_rawseti(vm->keeper, TABLE, anchor);
  vm->anchor_slots[vm->anchors_free++] = anchor;
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
  if (vm->anchors_free < vm->anchors_total)
    return; /* something is left that still needs its number */
  neap__anchor_free(vm);
  lua_pushcfunction(L, table_new);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1); /* it stays large */
}

/* ====================================================== } */
