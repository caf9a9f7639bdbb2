/*
** iso.c - moments as ISO 8601 writes them (RFC 3339): "2026-11-22T09:30:00Z".
*/
#include "clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../module/module.h"

/* The years that ISO 8601 writes with four digits. */
#define FIRST (-62167219200)  /* 0000-01-01T00:00:00Z */
#define LAST 253402300799     /* 9999-12-31T23:59:59Z */
#define DAY 86400
#define MOST_DIGITS 9

/* {======================================================
** Writing
** ======================================================= */

/* The option `name` of the table at index 2, on top of the stack. */
static int option(lua_State *L, const char *name) {
  return lua_isnoneornil(L, 2) ? (lua_pushnil(L), LUA_TNIL)
                               : lua_getfield(L, 2, name);
}

static void check_options(lua_State *L) {
  if (lua_isnoneornil(L, 2))
    return;
  if (lua_type(L, 2) != LUA_TTABLE)
    module_refuse(L, "time.iso: a table expected as options, got %s",
                  luaL_typename(L, 2));
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2)
                                                      : luaL_typename(L, -2);
    if (strcmp(name, "utc") != 0 && strcmp(name, "digits") != 0)
      module_refuse(L, "time.iso: unknown option '%s' (there are digits, utc)",
                    name);
  }
}

/* The moment at index 1, in seconds and so many parts of one, rounded. */
static time_t split(lua_State *L, long parts, long *part) {
  lua_Number t, whole;
  if (lua_isnoneornil(L, 1)) {
    struct timespec now = time__clock(L, CLOCK_REALTIME);
    *part = now.tv_nsec / (1000000000 / parts); /* as clocks do: cut off */
    return now.tv_sec;
  }
  if (lua_type(L, 1) != LUA_TNUMBER)
    module_refuse(L, "time.iso: a number of seconds expected, got %s",
                  luaL_typename(L, 1));
  t = lua_tonumber(L, 1);
  if (!(t >= FIRST && t < LAST + 1))
    module_refuse(L, "time.iso: %f seconds are not in the years 0 to 9999",
                  (LUAI_UACNUMBER)t);
  whole = floor(t);
  *part = lround((t - whole) * (lua_Number)parts);
  if (*part == parts) { /* rounded up to the next second */
    *part = 0;
    whole++;
  }
  return (time_t)whole;
}

/* time.iso([t [, {utc=, digits=}]]) -> "2026-11-22T09:30:00.000Z" */
int time__iso(lua_State *L) {
  static const long powers[] = {1,      10,      100,      1000,      10000,
                                100000, 1000000, 10000000, 100000000,
                                1000000000};
  char text[64];
  struct tm tm;
  time_t t;
  long part, minutes = 0; /* east of Greenwich */
  int utc, n, digits = 3;
  check_options(L);
  utc = option(L, "utc") == LUA_TNIL ||
        module_boolean(L, -1, "time.iso", "utc");
  if (option(L, "digits") != LUA_TNIL)
    digits = (int)module_integer(L, -1, "time.iso", "digits", 0, MOST_DIGITS);
  t = split(L, powers[digits], &part);
  if (t <= LAST && !utc && localtime_r(&t, &tm) != NULL) {
    minutes = tm.tm_gmtoff / 60; /* ISO knows no seconds here */
    t += 60 * minutes;
  }
  if (t > LAST || gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 ||
      tm.tm_year > 9999 - 1900)
    return module_refuse(L, "time.iso: the moment is not in the years 0 to "
                            "9999");
  n = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d",
               tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
               tm.tm_min, tm.tm_sec);
  if (digits > 0)
    n += snprintf(text + n, sizeof text - (size_t)n, ".%0*ld", digits, part);
  if (utc)
    (void)snprintf(text + n, sizeof text - (size_t)n, "Z");
  else
    (void)snprintf(text + n, sizeof text - (size_t)n, "%c%02ld:%02ld",
                   minutes < 0 ? '-' : '+', labs(minutes) / 60,
                   labs(minutes) % 60);
  lua_pushstring(L, text);
  return 1;
}

/* ====================================================== } */

/* {======================================================
** Reading
** ======================================================= */

/* Reads exactly n digits as a number from least to most. */
static int read_digits(const char **s, int n, int least, int most, int *value) {
  *value = 0;
  while (n-- > 0) {
    if (**s < '0' || **s > '9')
      return 0;
    *value = *value * 10 + (*(*s)++ - '0');
  }
  return *value >= least && *value <= most;
}

static int read_char(const char **s, const char *set) {
  return **s != '\0' && strchr(set, **s) != NULL ? *(*s)++ : 0;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar. The year begins
   in March here, so that the odd day comes last. */
static long days_from(int year, int month, int day) {
  long y = month > 2 ? year : year - 1, m = (month + 9) % 12;
  long leaps = y >= 0 ? y / 4 - y / 100 + y / 400 : -1;
  return 365 * y + leaps + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static int month_length(int year, int month) {
  int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (month == 2)
    return 28 + leap;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* "Z", "+02:00": seconds east of Greenwich. */
static int read_zone(const char **s, long *offset) {
  int sign = read_char(s, "Zz+-"), hours, minutes;
  *offset = 0;
  if (sign == 'Z' || sign == 'z')
    return 1;
  if (sign == 0 || !read_digits(s, 2, 0, 23, &hours))
    return 0;
  (void)read_char(s, ":");
  if (!read_digits(s, 2, 0, 59, &minutes))
    return 0;
  *offset = (hours * 60L + minutes) * 60 * (sign == '-' ? -1 : 1);
  return 1;
}

/* The digits behind the point; those beyond the ninth do not count. */
static int read_fraction(const char **s, lua_Number *fraction) {
  long value = 0, unit = 1;
  const char *begin = *s;
  for (; **s >= '0' && **s <= '9'; (*s)++) {
    if (unit < 1000000000) {
      value = value * 10 + (**s - '0');
      unit *= 10;
    }
  }
  *fraction = (lua_Number)value / (lua_Number)unit;
  return *s > begin;
}

/* time.parse("2026-11-22T09:30:00.5+01:00") -> seconds since 1970, an integer
   when the text has no fraction; nil, what is wrong */
int time__parse(lua_State *L) {
  size_t len;
  const char *text = module_string(L, 1, "time.parse", "the moment", &len);
  const char *s = text;
  int year, month, day, hour, minute, second;
  long offset;
  lua_Number fraction;
  int has_fraction, bare;
  lua_Integer seconds;
  int date = read_digits(&s, 4, 0, 9999, &year) && read_char(&s, "-") &&
             read_digits(&s, 2, 1, 12, &month) && read_char(&s, "-") &&
             read_digits(&s, 2, 1, month_length(year, month), &day);
  int clock = date && read_char(&s, "Tt ") &&
              read_digits(&s, 2, 0, 23, &hour) && read_char(&s, ":") &&
              read_digits(&s, 2, 0, 59, &minute) && read_char(&s, ":") &&
              read_digits(&s, 2, 0, 60, &second); /* 60: a leap second */
  has_fraction = clock && read_char(&s, ".,");
  if (has_fraction)
    clock = read_fraction(&s, &fraction);
  bare = clock && s == text + len;
  if (!clock || !read_zone(&s, &offset) || s != text + len) {
    lua_pushnil(L);
    lua_pushfstring(L, "'%s': %s", text,
                    bare
                        ? "no time zone: 'Z' or '+01:00' belongs at the end"
                        : "no moment as in '2026-11-22T09:30:00Z'");
    return 2;
  }
  seconds = (lua_Integer)days_from(year, month, day) * DAY + hour * 3600 +
            minute * 60 + second - offset;
  if (has_fraction)
    lua_pushnumber(L, (lua_Number)seconds + fraction);
  else
    lua_pushinteger(L, seconds);
  return 1;
}

/* ====================================================== } */
