// A convolution with its epilogue on wide words, exact, by the CPU's matrix unit (Intel AMX), which multiplies bytes.
//
// A word is a sum of balanced digits: w = d0 + 256 d1 + 65536 d2 + ..., each from -128 to 127, but a fourth digit of
// inputs is from 0 to 128 and they are not negative then. Products of digits
// whose places add up to the same power of 256 share an accumulator of 32 bits; at the end the accumulators are
// shifted and added in 64 bits (modulo 2**64), in which the epilogue works too. Weights have three digits; a few may
// have a fourth, in tiles of their own. limbs.py checks what fits.
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#pragma GCC target("amx-tile,amx-int8,avx512f,avx512bw,avx512dq,avx512vl")

namespace {

constexpr long TILE_ROWS = 16, TILE_BYTES = 64, TILE = TILE_ROWS * TILE_BYTES, COLUMNS = 16, SUMS = TILE_ROWS * COLUMNS;
constexpr long STRIP_TILES = 16, STRIP_BYTES = 1 << 19;  // of channels whose epilogue follows at once, for neighbours
                                                         // in memory: so many, with weights that stay in the cache
constexpr int WEIGHT_LIMBS = 3, MOST_LIMBS = 4;
constexpr long PANEL_TILES = 4, PANEL = PANEL_TILES * TILE_ROWS;  // pixels whose digits stay in the cache while all
                                                                  // weights pass by
constexpr long GROUP_BYTES = 1 << 19;  // digits of a group of images, from which panels are gathered
constexpr double LARGEST[] = {0, 0x7f, 0x7f7f, 0x7f7f7f, 0x7fffffff};  // with so many digits
constexpr int BALANCED = 3, BIAS = 0x808080;  // adding it turns balanced digits into bytes of an ordinary number, + 128

struct Config {  // of the tiles, as ldtilecfg reads it
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t column_bytes[16];
    uint8_t rows[16];
    Config() {
        std::fill_n(column_bytes, 16, 0), std::fill_n(rows, 16, 0);
        std::fill_n(column_bytes, 8, TILE_BYTES), std::fill_n(rows, 8, TILE_ROWS);
    }
};

enum Activation : long { LINEAR, RELU, SATURATE, CLIP };

// What follows the sums, as golden.qnetwork defines it. Without a pointer there is no such operand.
struct Epilogue {
    const int64_t *bias, *shift;  // (outputs)
    const double* bound;          // one number, or (out_rows, out_columns, outputs) if `bounds`
    const double* residual;       // as the output
    int64_t* kept;                // as the output: where to keep the sums
    long bounds, residual_shift, activation, top, spare_bits;
};

struct Weights {
    const int8_t* digits;   // tiles (output / 16, term / 64, digit)
    const int64_t* starts;  // (output / 16 + 1): which of the tiles of fourth digits are whose; none without a pointer
    const int64_t* blocks;  // term / 64 of each of those
    const int8_t* fourth;
};

// Windows along rows or columns, with zeros before and after.
struct Axis {
    long kernel, stride, before, after;
};

struct Shape {
    long images, rows, columns, channels;
    Axis down, across;
    long out_rows, out_columns, outputs;
    long padded_rows() const { return down.before + rows + down.after; }
    long padded_columns() const { return across.before + columns + across.after; }
    bool padded() const { return down.before || down.after || across.before || across.after; }
    long plane() const { return images * padded_rows() * padded_columns() * channels; }
    long image_pixels() const { return out_rows * out_columns; }
    long pixels() const { return images * image_pixels(); }
    long run() const { return across.kernel * channels; }  // a kernel row reads so many neighbours
    long blocks() const { return (down.kernel * run() + TILE_BYTES - 1) / TILE_BYTES; }
};

// Grows and is not cleared.
class Workspace {
  public:
    int8_t* get(size_t bytes) {
        if (bytes > size_)
            data_.reset(static_cast<int8_t*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64))), size_ = bytes;
        return data_.get();
    }

  private:
    struct Free {
        void operator()(int8_t* p) const { std::free(p); }
    };
    std::unique_ptr<int8_t, Free> data_;
    size_t size_ = 0;
};

__mmask8 lanes(long count) { return count >= 8 ? 0xff : count <= 0 ? 0 : __mmask8((1 << count) - 1); }

struct Range {
    __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
    bool fits(int limbs) const {
        const double least = _mm512_reduce_min_pd(low), most = _mm512_reduce_max_pd(high);
        return most <= LARGEST[limbs] && (limbs > BALANCED ? least >= 0 : -least <= LARGEST[limbs]);
    }
};

// Writes the digits of up to 16 integers, and widens their range.
template <bool WHOLE>
inline void split16(const double* x, long count, int limbs, long plane, int8_t* out, Range& range) {
    const __m512d a = WHOLE ? _mm512_loadu_pd(x) : _mm512_maskz_loadu_pd(lanes(count), x);
    const __m512d b = WHOLE ? _mm512_loadu_pd(x + 8) : _mm512_maskz_loadu_pd(lanes(count - 8), x + 8);
    range.low = _mm512_min_pd(range.low, _mm512_min_pd(a, b));
    range.high = _mm512_max_pd(range.high, _mm512_max_pd(a, b));
    const __m512i words = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvttpd_epi32(a)), _mm512_cvttpd_epi32(b), 1);
    __m512i biased = _mm512_add_epi32(words, _mm512_set1_epi32(BIAS));
    for (int limb = 0; limb < limbs; limb++, out += plane, biased = _mm512_srli_epi32(biased, 8)) {
        const __m128i sign = _mm_set1_epi8(limb < BALANCED ? int8_t(0x80) : 0);
        const __m128i digits = _mm_xor_si128(_mm512_cvtepi32_epi8(biased), sign);
        if (WHOLE)
            _mm_storeu_si128((__m128i*)out, digits);
        else
            _mm_mask_storeu_epi8(out, __mmask16((1 << count) - 1), digits);
    }
}

void split(const double* x, long count, int limbs, long plane, int8_t* out, Range& range) {
    long i = 0;
    for (; i + 16 <= count; i += 16) split16<true>(x + i, 16, limbs, plane, out + i, range);
    if (i < count) split16<false>(x + i, count - i, limbs, plane, out + i, range);
}

// Planes of digits, one per limb, with the padding around every image; whether the values have no more.
bool split_padded(const double* x, const Shape& s, int limbs, int8_t* planes) {
    const long plane = s.plane(), line = s.columns * s.channels, padded_line = s.padded_columns() * s.channels;
    const long left = s.across.before * s.channels, right = s.across.after * s.channels;
    const long above = s.down.before * padded_line, below = s.down.after * padded_line;
    Range range;
    if (!s.padded()) split(x, plane, limbs, plane, planes, range);
    for (long image = 0; s.padded() && image < s.images; image++) {
        const long first = image * s.padded_rows() * padded_line;
        for (int limb = 0; limb < limbs; limb++) {
            int8_t* p = planes + limb * plane + first;
            std::memset(p, 0, above);
            std::memset(p + s.padded_rows() * padded_line - below, 0, below);
            for (long row = s.down.before; row < s.down.before + s.rows; row++) {
                std::memset(p + row * padded_line, 0, left);
                std::memset(p + (row + 1) * padded_line - right, 0, right);
            }
        }
        for (long row = 0; row < s.rows; row++)
            split(x + (image * s.rows + row) * line, line, limbs, plane,
                  planes + first + (row + s.down.before) * padded_line + left, range);
    }
    return range.fits(limbs);
}

// im2col of pixels from `first`: (tile, block of 64 terms, limb, pixel, term). Terms after the last stay what they
// are, for the weights there are 0.
void gather(const int8_t* planes, const Shape& s, int limbs, long first, long tiles, int8_t* panel) {
    const long plane = s.plane(), blocks = s.blocks(), run = s.run();
    const long last = std::min(first + tiles * TILE_ROWS, s.pixels());
    for (long pixel = first; pixel < last; pixel++) {
        const long column = pixel % s.out_columns, above = pixel / s.out_columns;
        const long row = above % s.out_rows, image = above / s.out_rows, place = pixel - first;
        int8_t* to = panel + place / TILE_ROWS * blocks * limbs * TILE + place % TILE_ROWS * TILE_BYTES;
        for (long k = 0; k < s.down.kernel; k++) {
            const long line = image * s.padded_rows() + row * s.down.stride + k;
            const int8_t* from = planes + (line * s.padded_columns() + column * s.across.stride) * s.channels;
            for (long done = 0; done < run;) {
                const long term = k * run + done, block = term / TILE_BYTES, offset = term % TILE_BYTES;
                const long n = std::min(TILE_BYTES - offset, run - done);
                int8_t* cell = to + block * limbs * TILE + offset;
                for (int limb = 0; limb < limbs; limb++, cell += TILE)
                    if (n == TILE_BYTES)
                        std::memcpy(cell, from + limb * plane + done, TILE_BYTES);
                    else
                        std::memcpy(cell, from + limb * plane + done, n);
                done += n;
            }
        }
    }
}

template <Activation ACTIVATION>
__m512i activate(__m512i value, const Epilogue& e, const double* bound, __mmask8 kept) {
    const __m512i zero = _mm512_setzero_si512();
    if (ACTIVATION == LINEAR || ACTIVATION == RELU) {
        const __m512i least = ACTIVATION == RELU ? zero : _mm512_set1_epi64(-e.top - 1);
        return _mm512_min_epi64(_mm512_max_epi64(value, least), _mm512_set1_epi64(e.top));
    }
    const __m512d limits = bound ? _mm512_maskz_loadu_pd(kept, bound) : _mm512_set1_pd(*e.bound);
    const __m512i limit = _mm512_cvtpd_epi64(limits), positive = _mm512_max_epi64(value, zero);
    if (ACTIVATION == SATURATE) return _mm512_min_epi64(positive, limit);
    return _mm512_maskz_mov_epi64(_mm512_cmple_epi64_mask(value, limit), positive);
}

// Epilogue of 16 pixels from `pixel` and the channels from `channel` to before `last`;
// sums (tile, place, pixel, channel), of the last place only if `last_place`.
template <int PLACES, Activation ACTIVATION>
void finish(const int32_t* sums, bool last_place, const Shape& s, const Epilogue& e, long pixel, long channel,
            long last, double* out) {
    const long rows = std::min(TILE_ROWS, s.pixels() - pixel);
    const __m512i one = _mm512_set1_epi64(1);
    const __m128i spare = _mm_cvtsi64_si128(e.spare_bits), residual_shift = _mm_cvtsi64_si128(e.residual_shift);
    for (long row = 0; row < rows; row++) {
        const long start = (pixel + row) * s.outputs;
        const double* bounds = e.bounds ? e.bound + (pixel + row) % s.image_pixels() * s.outputs : nullptr;
        for (long c = channel; c < last; c += 8) {
            const __mmask8 valid = last - c >= 8 ? 0xff : __mmask8((1 << (last - c)) - 1);
            const int32_t* own = sums + (c - channel) / COLUMNS * PLACES * SUMS + row * COLUMNS + c % COLUMNS;
            __m512i total = _mm512_setzero_si512();
            if (last_place)
                total = _mm512_cvtepi32_epi64(_mm256_load_si256((const __m256i*)(own + (PLACES - 1) * SUMS)));
            for (int place = PLACES - 2; place >= 0; place--) {
                const __m256i term = _mm256_load_si256((const __m256i*)(own + place * SUMS));
                total = _mm512_add_epi64(_mm512_slli_epi64(total, 8), _mm512_cvtepi32_epi64(term));
            }
            if (e.kept) _mm512_mask_storeu_epi64(e.kept + start + c, valid, total);
            if (e.residual) {
                const __m512i words = _mm512_cvtpd_epi64(_mm512_maskz_loadu_pd(valid, e.residual + start + c));
                total = _mm512_add_epi64(total, _mm512_sll_epi64(words, residual_shift));
            }
            total = _mm512_add_epi64(total, _mm512_maskz_loadu_epi64(valid, e.bias + c));
            total = _mm512_sra_epi64(_mm512_sll_epi64(total, spare), spare);
            const __m512i shift = _mm512_maskz_loadu_epi64(valid, e.shift + c);
            const __mmask8 shifts = _mm512_test_epi64_mask(shift, shift);
            const __m512i halved = _mm512_srav_epi64(total, _mm512_maskz_sub_epi64(shifts, shift, one));  // half up
            total = _mm512_mask_add_epi64(total, shifts, _mm512_srai_epi64(halved, 1), _mm512_and_epi64(halved, one));
            total = activate<ACTIVATION>(total, e, bounds ? bounds + c : nullptr, valid);
            _mm512_mask_storeu_pd(out + start + c, valid, _mm512_cvtepi64_pd(total));
        }
    }
}

// Sums of 16 pixels and 16 channels by place, in tiles from 0; tile 6 holds digits of the input, 7 of the weights.
#define FOR_EACH_PLACE(DO)         \
    DO(0)                          \
    DO(1)                          \
    DO(2)                          \
    if constexpr (LIMBS > 1) DO(3) \
    if constexpr (LIMBS > 2) DO(4) \
    if constexpr (LIMBS > 3) DO(5)
#define CLEAR(place)       \
    {                      \
        _tile_zero(place); \
    }
#define SAVE(place)                                           \
    {                                                         \
        _tile_stored(place, sums + place * SUMS, TILE_BYTES); \
    }
#define TERM(limb, place)                                \
    if constexpr (limb < LIMBS) {                        \
        _tile_loadd(6, input + limb * TILE, TILE_BYTES); \
        if constexpr (limb < BALANCED)                   \
            _tile_dpbssd(place, 6, 7);                   \
        else                                             \
            _tile_dpbusd(place, 6, 7);                   \
    }

template <int LIMBS>
void multiply(const int8_t* input, const int8_t* weights, long blocks, int32_t* sums) {
    FOR_EACH_PLACE(CLEAR)
    for (long block = 0; block < blocks; block++, input += LIMBS * TILE, weights += WEIGHT_LIMBS * TILE) {
        // clang-format off
        _tile_loadd(7, weights, TILE_BYTES);
        TERM(0, 0) TERM(1, 1) TERM(2, 2) TERM(3, 3)
        _tile_loadd(7, weights + TILE, TILE_BYTES);
        TERM(3, 4) TERM(2, 3) TERM(1, 2) TERM(0, 1)
        _tile_loadd(7, weights + 2 * TILE, TILE_BYTES);
        TERM(0, 2) TERM(1, 3) TERM(2, 4) TERM(3, 5)
        // clang-format on
    }
    FOR_EACH_PLACE(SAVE)
}

// The same by the fourth digits, added to the sums from place 3 on; the last place is cleared first.
template <int LIMBS>
void multiply_fourth(const int8_t* panel, const Weights& w, long column, int32_t* all) {
    constexpr int PLACES = LIMBS + WEIGHT_LIMBS - 1;
    alignas(64) int32_t sums[(MOST_LIMBS + 2) * SUMS];
    std::fill_n(all + PLACES * SUMS, SUMS, 0);
    if (w.starts[column] == w.starts[column + 1]) return;
    FOR_EACH_PLACE(CLEAR)
    for (long i = w.starts[column]; i < w.starts[column + 1]; i++) {
        const int8_t* input = panel + w.blocks[i] * LIMBS * TILE;
        _tile_loadd(7, w.fourth + i * TILE, TILE_BYTES);
        TERM(0, 0) TERM(1, 1) TERM(2, 2) TERM(3, 3)
    }
    FOR_EACH_PLACE(SAVE)
    for (long i = 0; i < LIMBS * SUMS; i += 16) {
        int32_t* to = all + WEIGHT_LIMBS * SUMS + i;
        _mm512_store_epi32(to, _mm512_add_epi32(_mm512_load_epi32(to), _mm512_load_epi32(sums + i)));
    }
}

template <int LIMBS, Activation ACTIVATION>
void panels(const int8_t* planes, const Shape& s, const Epilogue& e, const Weights& w, double* out) {
    static thread_local Workspace workspace;
    const long blocks = s.blocks();
    int8_t* panel = workspace.get(PANEL_TILES * blocks * LIMBS * TILE);
    constexpr long TILE_SUMS = (LIMBS + WEIGHT_LIMBS) * SUMS;  // a place more than without fourth digits
    alignas(64) int32_t sums[STRIP_TILES * TILE_SUMS];
    const long strip = COLUMNS * std::clamp(STRIP_BYTES / (blocks * WEIGHT_LIMBS * TILE), 1L, STRIP_TILES);
    for (long first = 0; first < s.pixels(); first += PANEL) {
        const long tiles = (std::min(PANEL, s.pixels() - first) + TILE_ROWS - 1) / TILE_ROWS;
        gather(planes, s, LIMBS, first, tiles, panel);
        for (long channel = 0; channel < s.outputs; channel += strip) {
            const long last = std::min(channel + strip, s.outputs);
            for (long tile = 0; tile < tiles; tile++) {
                const int8_t* own = panel + tile * blocks * LIMBS * TILE;
                for (long c = channel; c < last; c += COLUMNS) {
                    const long column = c / COLUMNS;
                    int32_t* to = sums + (c - channel) / COLUMNS * TILE_SUMS;
                    multiply<LIMBS>(own, w.digits + column * blocks * WEIGHT_LIMBS * TILE, blocks, to);
                    if (w.starts) multiply_fourth<LIMBS>(own, w, column, to);
                }
                finish<LIMBS + WEIGHT_LIMBS, ACTIVATION>(sums, bool(w.starts), s, e, first + tile * TILE_ROWS, channel,
                                                         last, out);
            }
        }
    }
}

using Panels = void (*)(const int8_t*, const Shape&, const Epilogue&, const Weights&, double*);

template <int LIMBS>
constexpr Panels BY_ACTIVATION[] = {panels<LIMBS, LINEAR>, panels<LIMBS, RELU>, panels<LIMBS, SATURATE>,
                                    panels<LIMBS, CLIP>};
constexpr const Panels* BY_LIMBS[] = {nullptr, BY_ACTIVATION<1>, BY_ACTIVATION<2>, BY_ACTIVATION<3>, BY_ACTIVATION<4>};

// A group of images; false if a value has too many digits.
bool convolve(const double* x, const Shape& s, const Epilogue& e, int limbs, const Weights& w, double* out) {
    static thread_local Workspace workspace;
    for (; limbs <= MOST_LIMBS; limbs++) {
        int8_t* planes = workspace.get(limbs * s.plane());
        if (split_padded(x, s, limbs, planes)) {
            BY_LIMBS[limbs][e.activation](planes, s, e, w, out);
            return true;
        }
    }
    return false;
}

}  // namespace

// Whether this process may use the matrix unit (Linux grants its large registers on request).
extern "C" int limbs_permitted() { return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18) == 0; }

// A layer on words x (images, rows, columns, channels) into out (images, out_rows, out_columns, outputs), which hold
// integers. `limbs`: digits that are tried first. 0 if a value has too many.
extern "C" int limbs_layer(const double* x, const Shape* whole, const Epilogue* epilogue, const Weights* weights,
                           double* out, long limbs, long threads) {
    static const Config config;
    const long plane = whole->plane() / whole->images;
    const long least = (PANEL + whole->image_pixels() - 1) / whole->image_pixels();
    const long fit = std::max(1L, GROUP_BYTES / (limbs * plane) / least) * least;
    const long group = std::min(fit, (whole->images + threads - 1) / threads);
    std::atomic<long> next{0};
    std::atomic<bool> good{true};
    const auto work = [&] {
        _tile_loadconfig(&config);
        for (long image; (image = next.fetch_add(group)) < whole->images && good;) {
            Shape part = *whole;
            Epilogue e = *epilogue;
            part.images = std::min(group, whole->images - image);
            const long place = image * part.image_pixels() * part.outputs;
            if (e.residual) e.residual += place;
            if (e.kept) e.kept += place;
            if (!convolve(x + image * part.rows * part.columns * part.channels, part, e, int(limbs), *weights,
                          out + place))
                good = false;
        }
        _tile_release();
    };
    std::vector<std::thread> others;
    for (long i = 1; i < threads && i * group < whole->images; i++) others.emplace_back(work);
    work();
    for (auto& other : others) other.join();
    return good;
}
