/* compat/cayley.h — private: training a matrix that stays orthonormal. */
#ifndef LK_COMPAT_CAYLEY_H
#define LK_COMPAT_CAYLEY_H

#include "base/base.h"

/* One step of q [n, n] down the gradient [n, n] of a loss by q:
 *   A = g q' - q g',  q <- (I + rate / 2 A)^-1 (I - rate / 2 A) q
 * (Wen and Yin 2013, lemma 3; the Cayley transform of a skew A is a rotation).
 * scratch [2 n n]. LINKD_E_NOMEM. */
LINKD_MUST_CHECK int lk_cayley_step(const double *gradient, double rate,
                                    size_t n, double *q, double *scratch,
                                    linkd_error *err);

#endif
