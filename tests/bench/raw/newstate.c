/*
** newstate.c - the limit of a VM's life: a Lua state with the standard
** libraries, opened and closed. Prints us for each.
*/
#include "bench.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  double start = clock_now();
  for (int i = 0; i < n; i++)
    lua_close(open_state());
  printf("%.3f\n", (clock_now() - start) * 1e6 / n);
  return 0;
}
