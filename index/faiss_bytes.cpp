/* index/faiss_bytes.cpp — graphs over vectors of bytes, which FAISS compares in
 * integers.
 *
 * Why C++: the names that FAISS 1.7.3's factory knows do not include the
 * quantiser that takes bytes as they are (later ones call it SQ8_direct), and
 * its C API has no constructor of a graph over a quantiser. It cannot set
 * search_bounded_queue either. So these few lines are on the other side of that
 * API, and all else goes through it (faiss.c): its handles are pointers to
 * faiss::Index. No exception leaves this file. */
#include "index/faiss_bytes.h"

#include <cstdint>
#include <exception>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexScalarQuantizer.h>
#include <memory>
#include <sys/mman.h>
#include <vector>

namespace
{

/* How wide FAISS searches for the neighbours of a vector that it adds. Of
 * 100,000 x 384 encoded texts, 2026-11-24: 100 takes 26 s of one core, and 35
 * candidates then have recall@10 .95, 5,000 times a second; 200 takes 50 s, and
 * 27 have it, 5,700 times. */
constexpr int width_of_build = 200;

/* Of a large page, where it matters. */
constexpr std::uintptr_t page_bytes = std::uintptr_t{1} << 21;
/* Linux knows it since 6.1, glibc 2.36 does not. */
constexpr int madv_collapse = 25;

/* The queue that FAISS bounds is an array that it looks through twice at each
 * step, and a search ends after efSearch candidates, however many answers are
 * wanted. The other one is a heap, and a search is as wide as it has answers:
 * no two searches share a setting. A file does not keep which one it is. */
void graph_prepare(faiss::IndexHNSW *graph)
{
    graph->is_trained = true; /* there is nothing to learn about bytes */
    graph->hnsw.efConstruction = width_of_build;
    graph->hnsw.search_bounded_queue = false;
}

/* Puts an array on large pages, as far as it fills them and the kernel likes:
 * at once from Linux 6.1 on, or when it gets round to it. A search touches
 * memory at random, so most of its pages are new to the processor: 7,889
 * searches a second on large ones, 6,734 on small ones (100,000 x 384,
 * recall@10 .95, 2026-11-24). */
template <class T> void pages_enlarge(const std::vector<T> &array)
{
    auto begin = reinterpret_cast<std::uintptr_t>(array.data());
    auto end = begin + array.size() * sizeof(T);

    begin = (begin + page_bytes - 1) / page_bytes * page_bytes;
    end = end / page_bytes * page_bytes;
    if (begin >= end)
        return;
    (void)madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);
    (void)madvise(reinterpret_cast<void *>(begin), end - begin, madv_collapse);
}

faiss::IndexHNSW *graph_of(FaissIndex_H *index)
{
    return dynamic_cast<faiss::IndexHNSWSQ *>(
        reinterpret_cast<faiss::Index *>(index));
}

} // namespace

extern "C" int lk_faiss_bytes_new(size_t width, size_t n_links,
                                  FaissIndex_H **ret_index, linkd_error *err)
{
    try {
        auto graph = std::make_unique<faiss::IndexHNSWSQ>(
            static_cast<int>(width), faiss::ScalarQuantizer::QT_8bit_direct,
            static_cast<int>(n_links), faiss::METRIC_L2);
        faiss::Index *index = graph.get();

        graph_prepare(graph.get());
        *ret_index = reinterpret_cast<FaissIndex_H *>(index);
        (void)graph.release();
        return LINKD_OK;
    } catch (const std::exception &failure) {
        return lk_fail(err, LINKD_E_NOMEM, "could not create a graph: %s",
                       failure.what());
    }
}

extern "C" int lk_faiss_bytes_adopt(FaissIndex_H *index, linkd_error *err)
{
    faiss::IndexHNSW *graph = graph_of(index);

    if (graph == nullptr)
        return lk_fail(err, LINKD_E_DATA, "the index is not a graph of bytes");
    graph_prepare(graph);
    return LINKD_OK;
}

extern "C" void lk_faiss_bytes_settle(FaissIndex_H *index)
{
    const faiss::IndexHNSW *graph = graph_of(index);
    const faiss::IndexScalarQuantizer *storage = nullptr;

    LK_ASSERT(graph != nullptr);
    storage = static_cast<const faiss::IndexScalarQuantizer *>(graph->storage);
    pages_enlarge(storage->codes);
    pages_enlarge(graph->hnsw.neighbors);
}
