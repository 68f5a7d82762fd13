/* compat/slerp.h — private: how much of either query is in a fused one. */
#ifndef LK_COMPAT_SLERP_H
#define LK_COMPAT_SLERP_H

/* The factors of the old and of the new query, both of length 1, whose inner
 * product is `cosine`. */
void lk_slerp_parts(double cosine, double weight, double ret_parts[2]);

#endif
