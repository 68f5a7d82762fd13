/* compat/polar.h — private: the orthonormal matrix nearest to a given one. */
#ifndef LK_COMPAT_POLAR_H
#define LK_COMPAT_POLAR_H

#include "base/base.h"

/* The polar factor of c [m, n]: ret [m, n] with orthonormal columns (m >= n) or
 * rows (m < n) that maximises trace(c' ret). LINKD_E_DATA: c is zero. */
LINKD_MUST_CHECK int lk_polar(const double *c, size_t m, size_t n, double *ret,
                              linkd_error *err);

#endif
