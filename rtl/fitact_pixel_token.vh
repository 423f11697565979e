// Layout of a pixel's token, from bit 0 upwards: T_<NAME> is the lowest bit of a field. A field's width is a
// parameter of the cell, or a number.
//
// Made by fitact_hw.verilog (`make docs`): do not edit.
//
//   acc_rd       1             read the accumulator word at acc_addr
//   acc_wr       1             write the sum back to acc_addr
//   bias_rd      1             read the bias word; the pixel leaves through the epilogue
//   out_wr       1             write the lanes' result to out_addr
//   retire       1             last token of its instruction
//   push_prev    1             with retire: give a token to the previous unit
//   push_next    1             with retire: give a token to the next unit
//   acc_op       2             0 overwrite, 1 add, 2 max
//   act_mode     2             0 linear, 1 relu, 2 clip, 3 saturate
//   lshift       SHIFT_W       left shift of the partial sum
//   acc_addr     ACC_ADDR_W
//   bias_addr    BIAS_ADDR_W
//   out_addr     OUT_ADDR_W
//   layer_bound  DATA_W        bound of every neuron, or base of 4-bit codes; only with HAS_BOUND
//   bound_rd     1             read the word of the bound at bound_addr; only with HAS_BOUND_BUFFER
//   neuron       1             the bound comes from the bound buffer; only with HAS_BOUND_BUFFER
//   bound_addr   BOUND_ADDR_W  a bound of its lane, not a word; only with HAS_BOUND_BUFFER

localparam T_ACC_RD      = 0;
localparam T_ACC_WR      = T_ACC_RD + 1;
localparam T_BIAS_RD     = T_ACC_WR + 1;
localparam T_OUT_WR      = T_BIAS_RD + 1;
localparam T_RETIRE      = T_OUT_WR + 1;
localparam T_PUSH_PREV   = T_RETIRE + 1;
localparam T_PUSH_NEXT   = T_PUSH_PREV + 1;
localparam T_ACC_OP      = T_PUSH_NEXT + 1;
localparam T_ACT_MODE    = T_ACC_OP + 2;
localparam T_LSHIFT      = T_ACT_MODE + 2;
localparam T_ACC_ADDR    = T_LSHIFT + SHIFT_W;
localparam T_BIAS_ADDR   = T_ACC_ADDR + ACC_ADDR_W;
localparam T_OUT_ADDR    = T_BIAS_ADDR + BIAS_ADDR_W;
localparam T_LAYER_BOUND = T_OUT_ADDR + OUT_ADDR_W;
localparam T_BOUND_RD    = T_LAYER_BOUND + ((HAS_BOUND != 0) ? DATA_W : 0);
localparam T_NEURON      = T_BOUND_RD + ((HAS_BOUND_BUFFER != 0) ? 1 : 0);
localparam T_BOUND_ADDR  = T_NEURON + ((HAS_BOUND_BUFFER != 0) ? 1 : 0);
