/* tests/linkage/near.h — numbers that should be equal but for rounding. After
 * cmocka.h. */
#ifndef LINKD_TESTS_NEAR_H
#define LINKD_TESTS_NEAR_H

#include <math.h>

#define assert_near(a, b, tolerance)                                           \
 check_near((double)(a), (double)(b), tolerance, __FILE__, __LINE__)

static inline void check_near(double a, double b, double tolerance,
                              const char *file, int line)
{
    if (!(fabs(a - b) <= tolerance)) {
        print_error("%.12g is not near %.12g\n", a, b);
        _fail(file, line);
    }
}

#endif
