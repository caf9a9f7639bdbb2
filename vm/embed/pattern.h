/*
** pattern.h - Lua's patterns, matched in a bounded number of steps.
*/
#ifndef NEAP_PATTERN_H
#define NEAP_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#define NEAP__CAPTURES 32 /* in a pattern, as in Lua */

/* Sizes of captures that are no size. */
#define NEAP__OPEN (-1)     /* its end is not matched yet */
#define NEAP__POSITION (-2) /* "()" */

/* A pattern and a subject, in the caller's memory, and the steps that are
   left for all matches of one call of a function of string. */
typedef struct neap__pattern {
  lua_State *L;
  const char *subject;     /* its first byte, */
  const char *end;         /* and the 0 behind its last */
  const char *pattern;     /* likewise; without the ^ of an anchor, which */
  const char *pattern_end; /* is the caller's */
  int64_t fuel;            /* steps until the next checkpoint */
  int64_t reserve;         /* those after it */
  int depth;               /* nested calls of the matcher that are left */
  int count;               /* captures of the last match */
  struct {
    const char *begin;
    ptrdiff_t size;
  } captures[NEAP__CAPTURES];
} neap__pattern;

/* The strings must outlive it. */
void neap__pattern_init(neap__pattern *m, const char *subject, size_t size,
                        const char *pattern, size_t pattern_size);
/* Begins a call, on L: with all steps. */
void neap__pattern_start(neap__pattern *m, lua_State *L);

/* Matches the pattern at `s`: the end of the match, or NULL. Raises errors:
   of the pattern, and that it takes too many steps. */
const char *neap__pattern_match(neap__pattern *m, const char *s);

/* Accounts for other work of the same call. Raises the error of too many
   steps, and what neap__checkpoint raises. */
void neap__pattern_refuel(neap__pattern *m);
static inline void neap__pattern_step(neap__pattern *m, ptrdiff_t steps) {
  m->fuel -= steps;
  if (m->fuel < 0)
    neap__pattern_refuel(m);
}

/* Capture i, from 0 on, of the match from s to e, which is its own first
   capture when it has none: its size, and where it begins; a position is
   pushed, as an integer. */
ptrdiff_t neap__pattern_capture(neap__pattern *m, int i, const char *s,
                                const char *e, const char **begin);
/* Pushes it in any case. */
void neap__pattern_push(neap__pattern *m, int i, const char *s, const char *e);
/* Pushes all; returns how many. */
int neap__pattern_push_all(neap__pattern *m, const char *s, const char *e);

#endif
