// The systolic array as arithmetic, cycle by cycle: what fitact_array.v gives, without a register for every PE.
//
// In the PE of row r and column c everything is c cycles late: activation, swap, load, weight and partial sum alike. So
// that delay is taken out, and put back at the end. What is left: row r sees a pixel, and the swap that came with it, r
// cycles after they entered the array, and its weights at once.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "fitact_sizes.h"

namespace {

// An upset of a swap or a load on its way east: it is missing, or comes unasked, in `row` from `column` on.
struct Strike {
    uint32_t cycle, row, column;  // the cycle counts as Array::now
    bool load;
};

std::vector<Strike> g_strikes;  // still to come

struct Array {
    using Sum = std::conditional_t<(ACC_W > 32), uint64_t, uint32_t>;  // modulo 2^ACC_W: what is above is not given out
    using Word = std::conditional_t<DATA_W == 8, int8_t, std::conditional_t<DATA_W == 16, int16_t, int32_t>>;

    static constexpr uint32_t SLOTS = std::bit_ceil(2 * SIDE), LAST = SLOTS - 1;
    static constexpr uint32_t DELAY = 2 * SIDE - 1;  // cycles from a pixel's activations to its sums

    alignas(64) Sum weights[SIDE][SIDE] = {};
    Sum shadow[SIDE][SIDE] = {};
    Sum sums[SLOTS][SIDE] = {};         // of the pixel that entered in cycle n: in slot n & LAST
    Sum activations[SLOTS][SIDE] = {};  // its words
    uint8_t swaps[SLOTS] = {};          // and whether a swap came with it
    uint32_t now = 0;

    static void unpack(const uint32_t* from, Sum* to) {
        Word words[SIDE];
        std::memcpy(words, from, sizeof words);
        for (uint32_t i = 0; i < SIDE; ++i) to[i] = static_cast<Sum>(static_cast<std::make_signed_t<Sum>>(words[i]));
    }

    // A clock edge: takes the inputs before it, and gives `psum` after it.
    void cycle(const uint32_t* act, const uint32_t* weight, bool swap, const uint32_t* load, uint32_t* psum) {
        unpack(act, activations[now & LAST]);
        swaps[now & LAST] = swap;
        for (uint32_t row = 0; row < SIDE; ++row) {
            const uint32_t pixel = (now - row) & LAST;
            Sum* const sum = sums[pixel];
            const Sum activation = activations[pixel][row];
            if (row)
                for (uint32_t i = 0; i < SIDE; ++i) sum[i] += activation * weights[row][i];
            else
                for (uint32_t i = 0; i < SIDE; ++i) sum[i] = activation * weights[row][i];
            const bool loads = load[row / 32] >> (row % 32) & 1;
            if (!g_strikes.empty()) {
                change_struck(row, swaps[pixel], loads, weight);
                continue;
            }
            if (swaps[pixel]) std::memcpy(weights[row], shadow[row], sizeof weights[row]);
            if (loads) unpack(weight, shadow[row]);
        }
        std::erase_if(g_strikes, [this](const Strike& strike) { return strike.cycle == now; });
        ++now;
        const Sum* const done = sums[(now - DELAY) & LAST];
        for (uint32_t i = 0; i < SIDE; ++i)
            std::memcpy(reinterpret_cast<uint8_t*>(psum) + i * (ACC_W / 8), &done[i], ACC_W / 8);
    }

    // The weights of a row, if some swaps or loads are upset.
    void change_struck(uint32_t row, bool swap, bool load, const uint32_t* weight) {
        Sum words[SIDE];
        unpack(weight, words);
        for (uint32_t i = 0; i < SIDE; ++i) {
            bool swaps_here = swap, loads_here = load;
            for (const Strike& strike : g_strikes)
                if (strike.cycle == now && strike.row == row && i >= strike.column)
                    (strike.load ? loads_here : swaps_here) ^= true;
            if (swaps_here) weights[row][i] = shadow[row][i];
            if (loads_here) shadow[row][i] = words[i];
        }
    }

    // Calls visit(data, bytes) with all that later cycles depend on, whatever `now` is.
    template <typename Visit>
    void each(Visit visit) const {
        visit(weights, sizeof weights);
        visit(shadow, sizeof shadow);
        for (uint32_t age = 1; age <= DELAY; ++age) visit(sums[(now - age) & LAST], sizeof sums[0]);
        for (uint32_t age = 1; age < SIDE; ++age) {
            visit(activations[(now - age) & LAST], sizeof activations[0]);
            visit(&swaps[(now - age) & LAST], 1);
        }
    }
};

Array g_array;  // used in builds with fitact_array.sv only

}  // namespace

extern "C" void fitact_array_cycle(const uint32_t* act, const uint32_t* weight, unsigned char swap,
                                   const uint32_t* load, uint32_t* psum) {
    g_array.cycle(act, weight, swap, load, psum);
}
