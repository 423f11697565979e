// On-chip buffers: filled by the load unit, read by sequencer and lanes, emptied by the store unit.
//
// A word of memory is cut into lanes here: activation, weight and bound lanes lie side by side from bit
// 0; a bias lane starts at every BIAS_SLOT bits and holds the bias with its shift directly above.
//
// Composed by fitact_hw.verilog for the default configuration (16x16, 8-bit words, bounds: neuron); change the
// generator, not this file.

`default_nettype none

module fitact_buffers #(
    parameter ROWS         = 16,
    parameter COLS         = 16,
    parameter DATA_W       = 8,
    parameter ACC_W        = 32,
    parameter BIAS_LANE_W  = 38,    // bias and shift
    parameter BIAS_SLOT    = 64,    // bits from one bias lane to the next in memory
    parameter LOAD_DATA_W  = 1024,  // widest word in memory
    parameter ACT_DEPTH    = 4096,
    parameter ACT_ADDR_W   = 12,
    parameter WGT_DEPTH    = 2048,
    parameter WGT_ADDR_W   = 11,
    parameter BIAS_DEPTH   = 64,
    parameter BIAS_ADDR_W  = 6,
    parameter BOUND_DEPTH  = 256,
    parameter BOUND_ADDR_W = 8,
    parameter ACC_DEPTH    = 512,
    parameter ACC_ADDR_W   = 9,
    parameter OUT_DEPTH    = 1024,
    parameter OUT_ADDR_W   = 10
) (
    input  wire                        clk,

    // Load unit: one enable for each buffer.
    input  wire [3:0]                  load_wr_en,
    input  wire [15:0]                 load_wr_addr,
    input  wire [LOAD_DATA_W-1:0]      load_wr_data,   // a word as it lies in memory

    // Read ports: data one cycle after the enable.
    input  wire                        act_rd_en,
    input  wire [ACT_ADDR_W-1:0]       act_rd_addr,
    output wire [ROWS*DATA_W-1:0]      act_rd_data,
    input  wire                        wgt_rd_en,
    input  wire [WGT_ADDR_W-1:0]       wgt_rd_addr,
    output wire [COLS*DATA_W-1:0]      wgt_rd_data,
    input  wire                        bias_rd_en,
    input  wire [BIAS_ADDR_W-1:0]      bias_rd_addr,
    output wire [COLS*BIAS_LANE_W-1:0] bias_rd_data,
    input  wire                        bound_rd_en,
    input  wire [BOUND_ADDR_W-1:0]     bound_rd_addr,
    output wire [COLS*DATA_W-1:0]      bound_rd_data,

    // Accumulator.
    input  wire                        acc_rd_en,
    input  wire [ACC_ADDR_W-1:0]       acc_rd_addr,
    output wire [COLS*ACC_W-1:0]       acc_rd_data,
    input  wire                        acc_wr_en,
    input  wire [ACC_ADDR_W-1:0]       acc_wr_addr,
    input  wire [COLS*ACC_W-1:0]       acc_wr_data,

    // Output: written by the lanes, read by the store unit.
    input  wire                        out_wr_en,
    input  wire [OUT_ADDR_W-1:0]       out_wr_addr,
    input  wire [COLS*DATA_W-1:0]      out_wr_data,
    input  wire                        store_rd_en,
    input  wire [15:0]                 store_rd_addr,
    output wire [COLS*DATA_W-1:0]      store_rd_data
);

    genvar c;

    // Bit of load_wr_en for each buffer.
    localparam ACTIVATION = 0;
    localparam WEIGHT     = 1;
    localparam BIAS       = 2;
    localparam BOUND      = 3;

    wire [COLS*BIAS_LANE_W-1:0] bias_wr_data;  // bias lanes without the gaps between them

    generate
        for (c = 0; c < COLS; c = c + 1) begin : g_bias
            assign bias_wr_data[c*BIAS_LANE_W +: BIAS_LANE_W] = load_wr_data[c*BIAS_SLOT +: BIAS_LANE_W];
        end
    endgenerate

    fitact_sram #(
        .WIDTH  (ROWS * DATA_W),
        .DEPTH  (ACT_DEPTH),
        .ADDR_W (ACT_ADDR_W)
    ) u_activation (
        .clk     (clk),
        .wr_en   (load_wr_en[ACTIVATION]),
        .wr_addr (load_wr_addr[ACT_ADDR_W-1:0]),
        .wr_data (load_wr_data[ROWS*DATA_W-1:0]),
        .rd_en   (act_rd_en),
        .rd_addr (act_rd_addr),
        .rd_data (act_rd_data)
    );

    fitact_sram #(
        .WIDTH  (COLS * DATA_W),
        .DEPTH  (WGT_DEPTH),
        .ADDR_W (WGT_ADDR_W)
    ) u_weight (
        .clk     (clk),
        .wr_en   (load_wr_en[WEIGHT]),
        .wr_addr (load_wr_addr[WGT_ADDR_W-1:0]),
        .wr_data (load_wr_data[COLS*DATA_W-1:0]),
        .rd_en   (wgt_rd_en),
        .rd_addr (wgt_rd_addr),
        .rd_data (wgt_rd_data)
    );

    fitact_sram #(
        .WIDTH  (COLS * BIAS_LANE_W),
        .DEPTH  (BIAS_DEPTH),
        .ADDR_W (BIAS_ADDR_W)
    ) u_bias (
        .clk     (clk),
        .wr_en   (load_wr_en[BIAS]),
        .wr_addr (load_wr_addr[BIAS_ADDR_W-1:0]),
        .wr_data (bias_wr_data),
        .rd_en   (bias_rd_en),
        .rd_addr (bias_rd_addr),
        .rd_data (bias_rd_data)
    );

    fitact_sram #(
        .WIDTH  (COLS * DATA_W),
        .DEPTH  (BOUND_DEPTH),
        .ADDR_W (BOUND_ADDR_W)
    ) u_bound (
        .clk     (clk),
        .wr_en   (load_wr_en[BOUND]),
        .wr_addr (load_wr_addr[BOUND_ADDR_W-1:0]),
        .wr_data (load_wr_data[COLS*DATA_W-1:0]),
        .rd_en   (bound_rd_en),
        .rd_addr (bound_rd_addr),
        .rd_data (bound_rd_data)
    );

    fitact_sram #(
        .WIDTH  (COLS * ACC_W),
        .DEPTH  (ACC_DEPTH),
        .ADDR_W (ACC_ADDR_W)
    ) u_accumulator (
        .clk     (clk),
        .wr_en   (acc_wr_en),
        .wr_addr (acc_wr_addr),
        .wr_data (acc_wr_data),
        .rd_en   (acc_rd_en),
        .rd_addr (acc_rd_addr),
        .rd_data (acc_rd_data)
    );

    fitact_sram #(
        .WIDTH  (COLS * DATA_W),
        .DEPTH  (OUT_DEPTH),
        .ADDR_W (OUT_ADDR_W)
    ) u_output (
        .clk     (clk),
        .wr_en   (out_wr_en),
        .wr_addr (out_wr_addr),
        .wr_data (out_wr_data),
        .rd_en   (store_rd_en),
        .rd_addr (store_rd_addr[OUT_ADDR_W-1:0]),
        .rd_data (store_rd_data)
    );

    // Load and store unit check addresses themselves; the decoder refuses a LOAD into a missing buffer;
    // the gaps between bias lanes in memory hold nothing.
    wire unused = &{1'b0, load_wr_en, load_wr_addr, store_rd_addr, load_wr_data};

endmodule

`default_nettype wire
