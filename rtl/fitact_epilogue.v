// Control of all lanes: turns the delayed token of a pixel into buffer accesses and lane controls.
//
// The token arrives one cycle before the pixel's partial sums (A0-1, see docs/reference/machine.md):
//   A0-1  accumulator read            A1  accumulator write, bound read     A3  activation mode
//   A0    accumulate mode, bias read  A2  bound source                      A4  output write, retire
// `bound_select` 1 takes the bound from the bound buffer, 0 takes `layer_bound`. A bound word holds 2^BOUND_PACK_W
// bounds of each lane; `bound_part` says which one, in stage A2.
//
// Layout of the token: fitact_pixel_token.vh. TOKEN_W is the sum of its fields; HAS_BOUND_BUFFER needs HAS_BOUND.
// Outputs without hardware are constant 0.

`default_nettype none

module fitact_epilogue #(
    parameter DATA_W           = 8,
    parameter SHIFT_W          = 6,
    parameter ACC_ADDR_W       = 9,
    parameter BIAS_ADDR_W      = 6,
    parameter OUT_ADDR_W       = 10,
    parameter BOUND_ADDR_W     = 10,
    parameter BOUND_PACK_W     = 0,
    parameter BOUND_PART_W     = 1,     // BOUND_PACK_W, but at least 1
    parameter HAS_BOUND        = 1,
    parameter HAS_BOUND_BUFFER = 1,
    parameter TOKEN_W          = 62
) (
    input  wire                                 clk,
    input  wire                                 rst_n,
    input  wire                                 clear,
    input  wire                                 token_valid,
    input  wire [TOKEN_W-1:0]                   token_data,
    output wire                                 acc_rd_en,
    output wire [ACC_ADDR_W-1:0]                acc_rd_addr,
    output wire [1:0]                           acc_op,
    output wire [SHIFT_W-1:0]                   lshift,
    output wire                                 acc_wr_en,
    output wire [ACC_ADDR_W-1:0]                acc_wr_addr,
    output wire                                 bias_rd_en,
    output wire [BIAS_ADDR_W-1:0]               bias_rd_addr,
    output wire                                 bound_rd_en,
    output wire [BOUND_ADDR_W-BOUND_PACK_W-1:0] bound_rd_addr,
    output wire [BOUND_PART_W-1:0]              bound_part,
    output wire                                 bound_select,
    output wire [DATA_W-1:0]                    layer_bound,
    output wire [1:0]                           act_mode,
    output wire                                 out_wr_en,
    output wire [OUT_ADDR_W-1:0]                out_wr_addr,
    output wire                                 retire,
    output wire                                 push_prev,
    output wire                                 push_next,
    output wire                                 busy
);

    `include "fitact_pixel_token.vh"

    // A0-1: straight from the delay line.
    assign acc_rd_en   = token_valid && token_data[T_ACC_RD];
    assign acc_rd_addr = token_data[T_ACC_ADDR +: ACC_ADDR_W];

    // Control bits travel in shift registers: bit k is stage Ak. Every enable is qualified as valid.
    reg [4:0] valid_q;
    reg [4:0] out_wr_q;
    reg [4:0] retire_q;
    reg [4:0] push_prev_q;
    reg [4:0] push_next_q;
    reg [1:0] acc_wr_q;
    reg       bias_rd_q;

    always @(posedge clk) begin
        if (!rst_n || clear) begin
            valid_q     <= 5'd0;
            out_wr_q    <= 5'd0;
            retire_q    <= 5'd0;
            push_prev_q <= 5'd0;
            push_next_q <= 5'd0;
            acc_wr_q    <= 2'd0;
            bias_rd_q   <= 1'b0;
        end else begin
            valid_q     <= {valid_q[3:0], token_valid};
            out_wr_q    <= {out_wr_q[3:0], token_valid && token_data[T_OUT_WR]};
            retire_q    <= {retire_q[3:0], token_valid && token_data[T_RETIRE]};
            push_prev_q <= {push_prev_q[3:0], token_valid && token_data[T_PUSH_PREV]};
            push_next_q <= {push_next_q[3:0], token_valid && token_data[T_PUSH_NEXT]};
            acc_wr_q    <= {acc_wr_q[0], token_valid && token_data[T_ACC_WR]};
            bias_rd_q   <= token_valid && token_data[T_BIAS_RD];
        end
    end

    // What goes with them, up to the stage that uses it.
    reg [1:0]             acc_op_q;
    reg [SHIFT_W-1:0]     lshift_q;
    reg [BIAS_ADDR_W-1:0] bias_addr_q;
    reg [ACC_ADDR_W-1:0]  acc_addr_a0_q;
    reg [ACC_ADDR_W-1:0]  acc_addr_a1_q;
    reg [1:0]             act_mode_a0_q;
    reg [1:0]             act_mode_a1_q;
    reg [1:0]             act_mode_a2_q;
    reg [1:0]             act_mode_a3_q;
    reg [OUT_ADDR_W-1:0]  out_addr_a0_q;
    reg [OUT_ADDR_W-1:0]  out_addr_a1_q;
    reg [OUT_ADDR_W-1:0]  out_addr_a2_q;
    reg [OUT_ADDR_W-1:0]  out_addr_a3_q;
    reg [OUT_ADDR_W-1:0]  out_addr_a4_q;

    always @(posedge clk) begin
        acc_op_q      <= token_data[T_ACC_OP +: 2];
        lshift_q      <= token_data[T_LSHIFT +: SHIFT_W];
        bias_addr_q   <= token_data[T_BIAS_ADDR +: BIAS_ADDR_W];
        acc_addr_a0_q <= token_data[T_ACC_ADDR +: ACC_ADDR_W];
        acc_addr_a1_q <= acc_addr_a0_q;
        act_mode_a0_q <= token_data[T_ACT_MODE +: 2];
        act_mode_a1_q <= act_mode_a0_q;
        act_mode_a2_q <= act_mode_a1_q;
        act_mode_a3_q <= act_mode_a2_q;
        out_addr_a0_q <= token_data[T_OUT_ADDR +: OUT_ADDR_W];
        out_addr_a1_q <= out_addr_a0_q;
        out_addr_a2_q <= out_addr_a1_q;
        out_addr_a3_q <= out_addr_a2_q;
        out_addr_a4_q <= out_addr_a3_q;
    end

    assign acc_op       = acc_op_q;
    assign lshift       = lshift_q;
    assign bias_rd_en   = bias_rd_q;
    assign bias_rd_addr = bias_addr_q;
    assign acc_wr_en    = acc_wr_q[1];
    assign acc_wr_addr  = acc_addr_a1_q;
    assign act_mode     = act_mode_a3_q;
    assign out_wr_en    = out_wr_q[4];
    assign out_wr_addr  = out_addr_a4_q;
    assign retire       = retire_q[4];
    assign push_prev    = push_prev_q[4];
    assign push_next    = push_next_q[4];
    assign busy         = |valid_q;

    generate
        if (HAS_BOUND != 0) begin : g_layer_bound
            reg [DATA_W-1:0] layer_bound_a0_q;
            reg [DATA_W-1:0] layer_bound_a1_q;
            reg [DATA_W-1:0] layer_bound_a2_q;

            always @(posedge clk) begin
                layer_bound_a0_q <= token_data[T_LAYER_BOUND +: DATA_W];
                layer_bound_a1_q <= layer_bound_a0_q;
                layer_bound_a2_q <= layer_bound_a1_q;
            end

            assign layer_bound = layer_bound_a2_q;
        end else begin : g_no_layer_bound
            assign layer_bound = {DATA_W{1'b0}};
        end
    endgenerate

    generate
        if (HAS_BOUND_BUFFER != 0) begin : g_neuron_bound
            reg [1:0]              bound_rd_q;
            reg [2:0]              neuron_q;
            reg [BOUND_ADDR_W-1:0] bound_addr_a0_q;
            reg [BOUND_ADDR_W-1:0] bound_addr_a1_q;

            always @(posedge clk) begin
                if (!rst_n || clear) bound_rd_q <= 2'd0;
                else                 bound_rd_q <= {bound_rd_q[0], token_valid && token_data[T_BOUND_RD]};
            end

            always @(posedge clk) begin
                neuron_q        <= {neuron_q[1:0], token_data[T_NEURON]};
                bound_addr_a0_q <= token_data[T_BOUND_ADDR +: BOUND_ADDR_W];
                bound_addr_a1_q <= bound_addr_a0_q;
            end

            assign bound_rd_en   = bound_rd_q[1];
            assign bound_rd_addr = bound_addr_a1_q[BOUND_ADDR_W-1:BOUND_PACK_W];
            assign bound_select  = neuron_q[2];

            if (BOUND_PACK_W != 0) begin : g_part
                reg [BOUND_PACK_W-1:0] part_q;

                always @(posedge clk) part_q <= bound_addr_a1_q[BOUND_PACK_W-1:0];

                assign bound_part = part_q;
            end else begin : g_no_part
                assign bound_part = {BOUND_PART_W{1'b0}};
            end
        end else begin : g_no_neuron_bound
            assign bound_rd_en   = 1'b0;
            assign bound_rd_addr = {(BOUND_ADDR_W - BOUND_PACK_W){1'b0}};
            assign bound_select  = 1'b0;
            assign bound_part    = {BOUND_PART_W{1'b0}};

            wire unused = &{1'b0, T_NEURON[0], T_BOUND_ADDR[0]};
        end
    endgenerate

endmodule

`default_nettype wire
