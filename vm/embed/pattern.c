/*
** pattern.c - matches Lua's patterns as Lua does, by trying, but in a bounded
** number of steps: a pattern can take time that is exponential in its length,
** and no hook of Lua's reaches into C.
**
** A step is a little work of constant size: an item of the pattern tried at a
** place of the subject, or a byte of the subject looked at. So a match takes
** as long as its steps. What is wrong with a pattern is an error when the
** match comes to it, and not before: also in that this does as Lua.
*/
#include <ctype.h>
#include <string.h>

#include "../core/vm.h"
#include "pattern.h"

#define STEPS 1000000     /* for any call, and */
#define STEPS_PER_BYTE 64 /* of subject and pattern */
#define INTERVAL 4096     /* steps between checkpoints */
#define BYTES_PER_STEP 8  /* of a set, and of what is compared as a whole */
#define DEEPEST 200       /* nested calls of the matcher: Lua's MAXCCALLS */

static const char *match(neap__pattern *m, const char *s, const char *p);

static inline int byte(const char *s) { return (unsigned char)*s; }

void neap__pattern_refuel(neap__pattern *m) {
  m->reserve += m->fuel;
  if (m->reserve < 0)
    luaL_error(m->L, "pattern matching takes too many steps");
  neap__checkpoint(m->L);
  m->fuel = m->reserve < INTERVAL ? m->reserve : INTERVAL;
  m->reserve -= m->fuel;
}

/* {======================================================
** Single characters
** ======================================================= */

/* Whether c is in the class %letter. */
static int in_class(int c, int letter) {
  int in;
  switch (letter | 0x20) { /* in lower case, if it is one of these */
    case 'a': in = isalpha(c); break;
    case 'c': in = iscntrl(c); break;
    case 'd': in = isdigit(c); break;
    case 'g': in = isgraph(c); break;
    case 'l': in = islower(c); break;
    case 'p': in = ispunct(c); break;
    case 's': in = isspace(c); break;
    case 'u': in = isupper(c); break;
    case 'w': in = isalnum(c); break;
    case 'x': in = isxdigit(c); break;
    case 'z': in = c == 0; break; /* of old: the byte 0 */
    default: return c == letter;
  }
  return (in != 0) == ((letter & 0x20) != 0);
}

/* Whether c is in the set from the [ at p to the ] at `last`. */
static int in_set(int c, const char *p, const char *last) {
  int found = 1; /* the answer when it is listed */
  if (p[1] == '^') {
    found = 0;
    p++;
  }
  while (++p < last) {
    if (*p == '%') {
      p++;
      if (in_class(c, byte(p)))
        return found;
    }
    else if (p[1] == '-' && p + 2 < last) { /* a range */
      if (byte(p) <= c && c <= byte(p + 2))
        return found;
      p += 2;
    }
    else if (byte(p) == c)
      return found;
  }
  return !found;
}

/* Where the single character item at p ends: where its suffix would be. */
static const char *item_end(neap__pattern *m, const char *p) {
  if (*p == '%') {
    if (p + 1 == m->pattern_end)
      luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 2;
  }
  if (*p != '[')
    return p + 1;
  if (*++p == '^')
    p++;
  do { /* a ] in the first place is one of the set */
    if (p == m->pattern_end)
      luaL_error(m->L, "malformed pattern (missing ']')");
    if (*p++ == '%' && p < m->pattern_end)
      p++;
  } while (*p != ']');
  return p + 1;
}

/* Whether the item from p to `next` matches the character at s. */
static inline int fits(const neap__pattern *m, const char *s, const char *p,
                       const char *next) {
  if (s >= m->end)
    return 0;
  switch (*p) {
    case '.': return 1;
    case '%': return in_class(byte(s), byte(p + 1));
    case '[': return in_set(byte(s), p, next - 1);
    default: return *p == *s;
  }
}

/* ====================================================== } */

/* {======================================================
** Items: each function matches one, and the rest of the pattern if it says so
** ======================================================= */

/* As many as there are, then fewer; and the rest. */
static const char *match_most(neap__pattern *m, const char *s, const char *p,
                              const char *next) {
  ptrdiff_t cost = 1 + (next - p) / BYTES_PER_STEP;
  const char *e = s, *result;
  while (fits(m, e, p, next)) {
    neap__pattern_step(m, cost);
    e++;
  }
  while ((result = match(m, e, next + 1)) == NULL && e > s)
    e--;
  return result;
}

/* As few as will do; and the rest. */
static const char *match_least(neap__pattern *m, const char *s, const char *p,
                               const char *next) {
  ptrdiff_t cost = 1 + (next - p) / BYTES_PER_STEP;
  const char *result;
  while ((result = match(m, s, next + 1)) == NULL && fits(m, s, p, next)) {
    neap__pattern_step(m, cost);
    s++;
  }
  return result;
}

/* A ( and the rest, which begins at p. */
static const char *match_open(neap__pattern *m, const char *s, const char *p,
                              ptrdiff_t size) {
  const char *result;
  if (m->count == NEAP__CAPTURES)
    luaL_error(m->L, "too many captures");
  m->captures[m->count].begin = s;
  m->captures[m->count].size = size;
  m->count++;
  if ((result = match(m, s, p)) == NULL)
    m->count--;
  return result;
}

/* A ) and the rest, which begins at p. */
static const char *match_close(neap__pattern *m, const char *s, const char *p) {
  const char *result;
  int i = m->count - 1;
  while (i >= 0 && m->captures[i].size != NEAP__OPEN)
    i--;
  if (i < 0)
    luaL_error(m->L, "invalid pattern capture");
  m->captures[i].size = s - m->captures[i].begin;
  if ((result = match(m, s, p)) == NULL)
    m->captures[i].size = NEAP__OPEN;
  return result;
}

/* What capture `digit` has matched, once more. */
static const char *match_again(neap__pattern *m, const char *s, int digit) {
  int i = digit - '1';
  ptrdiff_t size;
  if (i < 0 || i >= m->count || m->captures[i].size == NEAP__OPEN)
    luaL_error(m->L, "invalid capture index %%%d", i + 1);
  size = m->captures[i].size;
  if (size == NEAP__POSITION || size > m->end - s)
    return NULL;
  neap__pattern_step(m, size / BYTES_PER_STEP);
  return memcmp(m->captures[i].begin, s, (size_t)size) == 0 ? s + size : NULL;
}

/* %b; its two characters are at p. */
static const char *match_balanced(neap__pattern *m, const char *s,
                                  const char *p) {
  const char *e = s;
  int open = 1;
  if (p + 1 >= m->pattern_end)
    luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  if (*s != *p)
    return NULL;
  while (open != 0 && ++e < m->end) {
    if (*e == p[1]) /* first: the two may be the same */
      open--;
    else if (*e == *p)
      open++;
  }
  neap__pattern_step(m, e - s);
  return open == 0 ? e + 1 : NULL;
}

/* Whether s is at the frontier of the set from p to `next`: both ends of the
   subject count as a 0. */
static int at_frontier(const neap__pattern *m, const char *s, const char *p,
                       const char *next) {
  int before = s == m->subject ? '\0' : byte(s - 1);
  return !in_set(before, p, next - 1) && in_set(byte(s), p, next - 1);
}

/* ====================================================== } */

/* Matches the pattern from p on at s: the end of the match, or NULL. */
static const char *match(neap__pattern *m, const char *s, const char *p) {
  if (m->depth-- == 0)
    luaL_error(m->L, "pattern too complex");
  while (p != m->pattern_end) {
    const char *next, *result;
    neap__pattern_step(m, 1);
    switch (*p) {
      case '(':
        s = p[1] == ')' ? match_open(m, s, p + 2, NEAP__POSITION)
                        : match_open(m, s, p + 1, NEAP__OPEN);
        goto done;
      case ')':
        s = match_close(m, s, p + 1);
        goto done;
      case '$':
        if (p + 1 != m->pattern_end)
          break; /* it stands for itself */
        if (s != m->end)
          s = NULL;
        goto done;
      case '%':
        if (p[1] == 'b') {
          s = match_balanced(m, s, p + 2);
          p += 4;
        }
        else if (p[1] == 'f') {
          p += 2;
          if (*p != '[')
            luaL_error(m->L, "missing '[' after '%%f' in pattern");
          next = item_end(m, p);
          neap__pattern_step(m, (next - p) / BYTES_PER_STEP);
          if (!at_frontier(m, s, p, next))
            s = NULL;
          p = next;
        }
        else if (isdigit(byte(p + 1))) {
          s = match_again(m, s, byte(p + 1));
          p += 2;
        }
        else
          break;
        if (s == NULL)
          goto done;
        continue;
      default:
        break;
    }
    next = item_end(m, p);
    if (next - p >= BYTES_PER_STEP)
      neap__pattern_step(m, (next - p) / BYTES_PER_STEP);
    if (!fits(m, s, p, next)) {
      if (*next != '*' && *next != '?' && *next != '-') {
        s = NULL;
        goto done;
      }
      p = next + 1; /* none of it will do */
      continue;
    }
    switch (*next) {
      case '?':
        if ((result = match(m, s + 1, next + 1)) != NULL) {
          s = result;
          goto done;
        }
        p = next + 1;
        break;
      case '+':
        s = match_most(m, s + 1, p, next);
        goto done;
      case '*':
        s = match_most(m, s, p, next);
        goto done;
      case '-':
        s = match_least(m, s, p, next);
        goto done;
      default:
        s++;
        p = next;
        break;
    }
  }
done:
  m->depth++;
  return s;
}

void neap__pattern_init(neap__pattern *m, const char *subject, size_t size,
                        const char *pattern, size_t pattern_size) {
  m->subject = subject;
  m->end = subject + size;
  m->pattern = pattern;
  m->pattern_end = pattern + pattern_size;
}

void neap__pattern_start(neap__pattern *m, lua_State *L) {
  m->L = L;
  m->fuel = INTERVAL;
  m->reserve = STEPS - INTERVAL;
  m->reserve += STEPS_PER_BYTE * (int64_t)(m->end - m->subject);
  m->reserve += STEPS_PER_BYTE * (int64_t)(m->pattern_end - m->pattern);
}

const char *neap__pattern_match(neap__pattern *m, const char *s) {
  m->depth = DEEPEST;
  m->count = 0;
  return match(m, s, m->pattern);
}

ptrdiff_t neap__pattern_capture(neap__pattern *m, int i, const char *s,
                                const char *e, const char **begin) {
  ptrdiff_t size;
  if (i >= m->count) {
    if (i != 0)
      luaL_error(m->L, "invalid capture index %%%d", i + 1);
    *begin = s;
    return e - s;
  }
  *begin = m->captures[i].begin;
  size = m->captures[i].size;
  if (size == NEAP__OPEN)
    luaL_error(m->L, "unfinished capture");
  if (size == NEAP__POSITION)
    lua_pushinteger(m->L, *begin - m->subject + 1);
  return size;
}

void neap__pattern_push(neap__pattern *m, int i, const char *s,
                        const char *e) {
  const char *begin;
  ptrdiff_t size = neap__pattern_capture(m, i, s, e, &begin);
  if (size != NEAP__POSITION)
    lua_pushlstring(m->L, begin, (size_t)size);
}

int neap__pattern_push_all(neap__pattern *m, const char *s, const char *e) {
  int i, n = m->count == 0 && s != NULL ? 1 : m->count;
  luaL_checkstack(m->L, n, "too many captures");
  for (i = 0; i < n; i++)
    neap__pattern_push(m, i, s, e);
  return n;
}
