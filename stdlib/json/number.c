/*
** number.c - the numbers of JSON, both ways: integers exactly, floats in the
** shortest form that reads back equal, as Python's repr writes them.
**
** Most floats that people write have at most 15 digits. Those are exact in
** floating point as an integer times or over a power of ten that is exact,
** too, so that one operation reads or checks them. Of the others, those of
** everyday size are written with exact integers of 128 bits. For the rest
** there is the C library, whose strtod and printf round correctly, and take
** their time.
*/
#include "json.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The powers of ten that are exact. */
static const double powers[] = {
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13,
  1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};
#define EXACT 22 /* the greatest of them */

#define isdigit_(c) ((unsigned)((c) - '0') < 10)


/*
** {======================================================
** Reading
** =======================================================
*/

/*
** strtod for a number from `start` to `end` whose decimal point is that of
** JSON, whatever the locale's is.
*/
static double todouble(lua_State *L, const char *start, const char *end) {
  char *stop;
  double x = strtod(start, &stop);
  if (stop != end) { /* another point? put it in */
    const char *dot = memchr(start, '.', (size_t)(end - start));
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    luaL_addlstring(&b, start, (size_t)(dot - start));
    luaL_addstring(&b, localeconv()->decimal_point);
    luaL_addlstring(&b, dot + 1, (size_t)(end - dot - 1));
    luaL_pushresult(&b);
    x = strtod(lua_tostring(L, -1), NULL);
    lua_pop(L, 1);
  }
  return x;
}


const char *json_readnumber(lua_State *L, const char *p, const char **at,
                            const char **why) {
  const char *start = p, *digits;
  int negative = (*p == '-');
  uint64_t m = 0;   /* the digits, as long as there are at most 19 */
  ptrdiff_t n;      /* how many digits there are */
  ptrdiff_t exponent = 0;
  double x;
  p += negative;
  digits = p;
  for (; isdigit_(*p); p++)
    m = m * 10 + (uint64_t)(*p - '0');
  n = p - digits;
  *at = p;
  *why = "a digit expected";
  if (n == 0)
    return NULL;
  *at = start;
  *why = "a number must not begin with 0";
  if (*digits == '0' && n > 1)
    return NULL;
  if (*p != '.' && *p != 'e' && *p != 'E') { /* an integer? */
    *why = "an integer of more than 64 bits";
    if (n > 19 || m > (uint64_t)LUA_MAXINTEGER + (unsigned)negative)
      return NULL;
    lua_pushinteger(L, (lua_Integer)(negative ? 0 - m : m));
    return p;
  }
  *why = "a digit expected";
  if (*p == '.') {
    const char *fraction = ++p;
    for (; isdigit_(*p); p++)
      m = m * 10 + (uint64_t)(*p - '0');
    *at = p;
    if (p == fraction)
      return NULL;
    n += p - fraction;
    exponent = fraction - p;
  }
  if (*p == 'e' || *p == 'E') {
    int ten = 0, minus = (*++p == '-');
    p += (*p == '-' || *p == '+');
    *at = p;
    if (!isdigit_(*p))
      return NULL;
    for (; isdigit_(*p); p++)
      ten = ten > 9999 ? ten : ten * 10 + (*p - '0');
    exponent += minus ? -ten : ten;
  }
  if (n <= 19 && m < (UINT64_C(1) << 53) && -EXACT <= exponent &&
      exponent <= EXACT) {
    x = exponent < 0 ? (double)m / powers[-exponent]
                     : (double)m * powers[exponent];
    x = negative ? -x : x;
  }
  else
    x = todouble(L, start, p);
  *at = start;
  *why = "a number that is too great for a float";
  if (isinf(x))
    return NULL;
  lua_pushnumber(L, x);
  return p;
}

/* }====================================================== */


/*
** {======================================================
** Writing
** =======================================================
*/

/* Writes the digits of n so that they end before `end`; returns where they
   begin. */
static char *writedigits(char *end, uint64_t n) {
  do {
    *--end = (char)('0' + n % 10);
    n /= 10;
  } while (n != 0);
  return end;
}


size_t json_writeinteger(char *out, lua_Integer n) {
  char digits[20];
  char *end = digits + sizeof digits;
  char *begin = writedigits(end, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
  size_t len = (size_t)(end - begin);
  *out = '-';
  memcpy(out + (n < 0), begin, len);
  return len + (n < 0);
}


/*
** Below a power of two floats are closer together than above: there the
** digits just above it may read back when those nearest do not.
*/
static int ispower(double x) {
  int exponent;
  return frexp(x, &exponent) == 0.5;
}


#if defined(__SIZEOF_INT128__)

__extension__ typedef unsigned __int128 uint128;

/*
** The shortest digits of x, from 1e-5 up to 1e15, when it has more than
** 10^*k brings before the point.
**
** x is m * 2^e, and x * 10^k is v / 2^s, with v = m * 5^k and s = -(e + k).
** In these units half the distance to the next float is 5^k / 2: a decimal
** c / 10^k reads back as x if 2 * |c * 2^s - v| is less (equal it cannot be,
** 5^k is odd). As 17 digits are enough, 5^k has less than 54 bits, v less
** than 107; and s is above 0.
*/
static uint64_t moredigits(double x, int *k) {
  int e;
  uint64_t m = (uint64_t)ldexp(frexp(x, &e), 53), five = 1;
  e -= 53;
  for (int i = 0; i < *k; i++)
    five *= 5;
  for (;;) {
    int s;
    uint128 v, unit, above, below;
    uint64_t c;
    five *= 5;
    s = -(e + ++*k);
    v = (uint128)m * five;
    unit = (uint128)1 << s;
    c = (uint64_t)(v >> s);
    below = v & (unit - 1); /* the distance to c */
    above = unit - below;   /* and to c + 1 */
    if (ispower(x) ? 4 * below < five : 2 * below < five) {
      if (below < above || (below == above && c % 2 == 0))
        return c;
    }
    if (2 * above < five)
      return c + 1;
  }
}


/*
** For x from 1e-5 up to 1e15: its digits as an integer, to be multiplied by
** 10^*exponent.
*/
static uint64_t everyday(double x, int *exponent) {
  double y;
  uint64_t m;
  int k = 0;
  while (k < EXACT && x * powers[k + 1] < 1e15)
    k++;
  /* 15 digits? (a number with fewer has as many, with zeros at the end) */
  y = x * powers[k];
  m = (uint64_t)(y + 0.5);
  if ((double)m / powers[k] != x)
    m = moredigits(x, &k);
  *exponent = -k;
  return m;
}

#endif


/*
** The first `precision` digits of x, correctly rounded: an integer, and the
** power of ten to multiply it by. Returns whether they read back as x.
*/
static int readsback(double x, int precision, uint64_t *m, int *exponent) {
  char text[64];
  const char *p;
  snprintf(text, sizeof text, "%.*e", precision - 1, x);
  *m = 0;
  for (p = text; *p != 'e'; p++) { /* the point is the locale's */
    if (isdigit_(*p))
      *m = *m * 10 + (uint64_t)(*p - '0');
  }
  *exponent = (int)strtol(p + 1, NULL, 10) - (precision - 1);
  if (strtod(text, NULL) == x)
    return 1;
  if (!ispower(x))
    return 0;
  snprintf(text, sizeof text, "%llue%d", (unsigned long long)++*m, *exponent);
  return strtod(text, NULL) == x;
}


/* The shortest digits that read back as x, which is above zero. */
static uint64_t shortest(double x, int *exponent) {
  int precision;
  uint64_t m;
#if defined(__SIZEOF_INT128__)
  if (x >= 1e-5 && x < 1e15)
    return everyday(x, exponent);
#endif
  /* of up to 15 digits there is only one number near a float, unless that
     has lost some of its own (is subnormal) */
  precision = x < DBL_MIN ? 1 : 15;
  while (!readsback(x, precision, &m, exponent))
    precision++;
  return m;
}


size_t json_writefloat(char *out, lua_Number x) {
  char buffer[20];
  char *const end = buffer + sizeof buffer;
  char *digits, *p = out;
  int exponent = 0, n, point, i;
  uint64_t m = 0;
  if (signbit(x)) {
    *p++ = '-';
    x = -x;
  }
  if (x != 0)
    m = shortest(x, &exponent);
  while (m != 0 && m % 10 == 0) {
    m /= 10;
    exponent++;
  }
  digits = writedigits(end, m);
  n = (int)(end - digits);
  point = n + exponent; /* how many digits are before the point */
  if (point < -3 || point > 16) { /* 1.5e-07 */
    *p++ = *digits;
    if (n > 1) {
      *p++ = '.';
      memcpy(p, digits + 1, (size_t)n - 1);
      p += n - 1;
    }
    return (size_t)(p - out) + (size_t)sprintf(p, "e%+03d", point - 1);
  }
  if (point <= 0) { /* 0.0015 */
    memcpy(p, "0.0000", 2 + (size_t)-point);
    p += 2 - point;
    memcpy(p, digits, (size_t)n);
    return (size_t)(p + n - out);
  }
  for (i = 0; i < point; i++) /* 15.5, 1500.0 */
    *p++ = i < n ? digits[i] : '0';
  *p++ = '.';
  do {
    *p++ = i < n ? digits[i] : '0';
  } while (++i < n);
  return (size_t)(p - out);
}

/* }====================================================== */
