/*
** anchor.c - references from C to Lua values, and the pool of threads.
**
** One Lua table holds all anchored values, each at a number of its own;
** free numbers stand in a C array that always has room for every number
** given out, so that dropping an anchor cannot fail.
*/
#include "vm.h"

#define MOST_IDLE 1024 /* threads kept for the next tasks */

static const char shrink_key = 0;  /* of a field that makes it shrink */

void neap__anchor_init(lua_State *L) {
  lua_newtable(L);
  neap__ref_set(L, NEAP__ANCHORS);
}

/* Room for one number more. */
static void slots_grow(neap_vm *vm, lua_State *L) {
  uint32_t capacity = vm->anchors_capacity;
  uint32_t larger = capacity == 0 ? 64 : capacity * 2;
  uint32_t *slots =
      (uint32_t *)neap__alloc(vm, vm->anchor_slots, capacity * sizeof *slots,
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
  if (vm->anchors_free > 0)
    number = vm->anchor_slots[vm->anchors_free - 1];
  else {
    if (vm->anchors_total == vm->anchors_capacity)
      slots_grow(vm, L);
    number = vm->anchors_total + 1;
  }
  neap__ref_push(L, NEAP__ANCHORS);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, number); /* can raise: nothing is taken yet */
  lua_pop(L, 1);
  if (vm->anchors_free > 0)
    vm->anchors_free--;
  else
    vm->anchors_total++;
  vm->anchors_used++;
  return number;
}

void neap__anchor_push(lua_State *L, uint32_t anchor) {
  neap__ref_push(L, NEAP__ANCHORS);
  lua_rawgeti(L, -1, anchor);
  lua_replace(L, -2);
}

void neap__anchor_drop(neap_vm *vm, lua_State *L, uint32_t anchor) {
  neap__ref_push(L, NEAP__ANCHORS);
  lua_pushnil(L);
  lua_rawseti(L, -2, anchor);
  lua_pop(L, 1);
  vm->anchor_slots[vm->anchors_free++] = anchor;
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

static void pool_empty(neap_vm *vm, lua_State *L) {
  while (vm->pool_count > 0)
    neap__anchor_drop(vm, L, vm->pool[--vm->pool_count].anchor);
}

void neap__thread_release(neap_vm *vm, lua_State *L, neap__thread thread) {
  *neap__extra(thread.L) &= ~NEAP__XPCALL;
  if (vm->hooked == thread.L)
    vm->hooked = NULL;
  if (lua_gethook(thread.L) != NULL) /* the next task starts without it */
    neap__interrupt_reset(vm, thread.L);
  if (!vm->starved && pool_reserve(vm))
    vm->pool[vm->pool_count++] = thread;
  else
    neap__anchor_drop(vm, L, thread.anchor);
  if (vm->starved) {
    pool_empty(vm, L);
    vm->starved = 0;
  }
}

/* Lua: a table gives back its array part when a new key finds no room in
   its hash part, which is empty here. May raise "not enough memory". */
static int shrink(lua_State *L) {
  neap__ref_push(L, NEAP__ANCHORS);
  lua_pushboolean(L, 1);
  lua_rawsetp(L, -2, &shrink_key);
  lua_pushnil(L);
  lua_rawsetp(L, -2, &shrink_key);
  return 0;
}

void neap__pool_trim(neap_vm *vm, lua_State *L) {
  pool_empty(vm, L);
  if (vm->anchors_used > 0)
    return; /* something is left that still needs its number */
  neap__anchor_free(vm);
  lua_pushcfunction(L, shrink);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1); /* it stays large */
}

/* ====================================================== } */
