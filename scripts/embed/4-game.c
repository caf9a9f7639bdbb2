/*
** 4-game.c - a game whose scripts get a part of each frame, and no more.
**
** Entities are host objects: C data with methods for the scripts. What a
** script does takes many frames: it awaits next_frame(), a promise that the
** game keeps at the begin of each frame. The dragon always has something to
** think of, and the game goes on nevertheless: neap_tick comes back when the
** scripts' time is over. (A script that did not even await would need a limit:
** config.limits.slice, as in 5-plugins.c.)
*/
#include <neap.h>

#include <stdio.h>
#include <stdlib.h>

enum { BUDGET_US = 2000, SCRIPTS = 3 };

static const char *const script =
    "function async.knight(me)\n"
    "  repeat await(next_frame()) until me:move(1) == 7\n"
    "end\n"
    "function async.goblin(me)\n"
    "  repeat await(next_frame()) until me:move(-1) == 0\n"
    "end\n"
    "function async.dragon(me)\n"
    "  while true do await(sleep(0)) end\n"
    "end\n";

typedef struct entity {
  const char *name;  /* of the script's function, too */
  int x;             /* where it is */
  neap_value handle; /* what scripts have of it */
  int ended;         /* its script has */
} entity;

/* The tasks that wait for the next frame. */
typedef struct frames {
  lua_Integer number; /* of the frame */
  neap_promise *waiting[SCRIPTS];
  int count;
} frames;

static void check(neap_vm *vm, int status) {
  neap_error_info error;
  if (status >= 0)
    return;
  neap_error(vm, &error);
  fprintf(stderr, "%s%s\n", error.message, error.traceback);
  exit(EXIT_FAILURE);
}

/* entity:move(steps): where it is then */
static int entity_move(neap_frame *frame, void *ud) {
  entity *e = (entity *)ud;
  lua_Integer steps;
  int status = neap_arg_integer(frame, 1, &steps);
  if (status != NEAP_OK)
    return status; /* the script gets an error */
  e->x += (int)steps;
  return neap_return(frame, neap_integer(e->x));
}

static const neap_method entity_methods[] = {
    {"move", entity_move, 0},
    {NULL, NULL, 0},
};

static const neap_class entity_class = {"Entity", entity_methods, NULL};

/* await(next_frame()): the number of that frame */
static int next_frame(neap_frame *frame, void *ud) {
  frames *f = (frames *)ud;
  int status;
  if (f->count == SCRIPTS)
    return neap_fail(frame, "too many wait for the next frame");
  status = neap_promise_open(frame, NULL, NULL, &f->waiting[f->count]);
  if (status == NEAP_SUSPENDED)
    f->count++;
  return status;
}

/* Lets all that wait for the frame go on, in the order in which they came.
   The other errors say that nobody waits any longer, which is none here. */
static void begin_frame(frames *f) {
  neap_value number = neap_integer(++f->number);
  int i;
  for (i = 0; i < f->count; i++) {
    if (neap_resolve(f->waiting[i], &number, 1) == NEAP_ENOMEM)
      fprintf(stderr, "next_frame: %s\n", neap_strerror(NEAP_ENOMEM));
    neap_promise_release(f->waiting[i]);
  }
  f->count = 0;
}

static void ended(void *ud, neap_vm *vm, int status, const neap_value *results,
                  int nresults) {
  entity *e = (entity *)ud;
  neap_error_info error;
  (void)results;
  (void)nresults;
  e->ended = 1;
  neap_error(vm, &error);
  printf("%s: %s\n", e->name, status == NEAP_OK ? "arrived" : error.message);
}

/* Brings an entity into the game, and starts its script. */
static void enter(neap_vm *vm, entity *e) {
  neap_value function;
  check(vm, neap_object_new(vm, &entity_class, e, &e->handle));
  check(vm, neap_retain(vm, &e->handle));
  check(vm, neap_get(vm, e->name, &function));
  check(vm, neap_spawn(vm, &function, &e->handle, 1, 0, ended, e, NULL));
}

int main(void) {
  entity knight = {"knight", 0, neap_nil(), 0};
  entity goblin = {"goblin", 8, neap_nil(), 0};
  entity dragon = {"dragon", 99, neap_nil(), 0};
  frames f = {0, {NULL}, 0};
  int slain = 0;
  neap_vm *vm;
  neap_value chunk;
  int status = neap_new(&vm, NULL); /* a sandbox, and no limits */
  if (status != NEAP_OK) {
    fprintf(stderr, "%s\n", neap_strerror(status));
    return EXIT_FAILURE;
  }
  check(vm, neap_register_async(vm, "next_frame", next_frame, &f));
  check(vm, neap_load(vm, "game", script, strlen(script), &chunk));
  check(vm, neap_call(vm, &chunk, NULL, 0, NULL, 0, 0));
  enter(vm, &knight);
  enter(vm, &goblin);
  enter(vm, &dragon);

  while (!knight.ended || !goblin.ended) {
    begin_frame(&f);
    /* who does not get a turn within the budget has it in the next frame */
    check(vm, neap_tick(vm, BUDGET_US));
    /* the game's own part: rules, picture, the wait for the next frame */
    if (!slain && knight.x >= goblin.x) {
      printf("the knight meets the goblin\n");
      check(vm, neap_revoke(vm, &goblin.handle)); /* out of scripts' reach */
      slain = 1;
    }
  }
  check(vm, neap_close(vm, NULL, NULL)); /* ends the dragon's script */
  begin_frame(&f); /* promises are ours, and outlive the VM */
  return EXIT_SUCCESS;
}
