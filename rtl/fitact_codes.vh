// Codes that several cells know: errors, accumulate and activation modes.
//
// Made by fitact_hw.verilog (`make docs`): do not edit.

// A cell needs some of them.
/* verilator lint_off UNUSEDPARAM */
// STATUS.code.
localparam [3:0] ERROR_NONE                = 4'd0;
localparam [3:0] ERROR_ILLEGAL_INSTRUCTION = 4'd1;
localparam [3:0] ERROR_ADDRESS             = 4'd2;
localparam [3:0] ERROR_BUS                 = 4'd3;
localparam [3:0] ERROR_WATCHDOG            = 4'd4;
localparam [3:0] ERROR_BUFFER_RANGE        = 4'd5;
localparam [3:0] ERROR_TOKEN_OVERFLOW      = 4'd6;
localparam [3:0] ERROR_UNCORRECTED_WORD    = 4'd7;

// acc_op of a pixel's token.
localparam [1:0] OP_OVERWRITE = 2'd0;
localparam [1:0] OP_ADD       = 2'd1;
localparam [1:0] OP_MAX       = 2'd2;

// act_mode of a pixel's token.
localparam [1:0] ACT_LINEAR   = 2'd0;
localparam [1:0] ACT_RELU     = 2'd1;
localparam [1:0] ACT_CLIP     = 2'd2;
localparam [1:0] ACT_SATURATE = 2'd3;

/* verilator lint_on UNUSEDPARAM */
