// Walks the loops of a GEMM: reads weights and activations and sends one token per pixel.
//
// Two machines work side by side. The *loader* reads the ROWS words of the next weight tile into the
// array's shadow weights, at most one tile ahead of the *streamer*, which reads one activation word per
// pixel. A tile begins with `array_swap`, one cycle before its first pixel reaches the array. Tiles follow
// each other every max(pixels, ROWS, RMW_CYCLES) cycles, across GEMMs too: while the last tile of a GEMM
// streams, the loader already loads the first tile of the GEMM that waits at `instr_*`. That GEMM is
// accepted (`instr_ready`, `gemm_start`) when its first tile begins.
//
// Cycle u (t-1 in docs/reference/machine.md): `act_rd_*`, `wgt_rd_*` from registers. Cycle u+1 (t): the token, the load
// strobe or the swap that belongs to it, also from registers.
//
// Addresses have 17 bits: every base is itself an address that is used, and a step has at most 16 bits, so
// the first one beyond its buffer is always seen. That access alone is left out and `range_error` pulses.
// Buffers that a pixel does not use are not checked.
//
// A GEMM that adds to accumulator words of the GEMM before it must have the same `acc_base`: a read does not
// see a write of the two cycles before it.
//
// `halt` and `clear` drop everything with the next clock edge, also an instruction in flight. A SYNC waits
// until the GEMM before it has issued its last pixel, then becomes a token without pixel: retire and its
// push bits only. Layout of the token: fitact_pixel_token.vh.

`default_nettype none

module fitact_sequencer #(
    parameter ROWS             = 16,
    parameter DATA_W           = 8,
    parameter SHIFT_W          = 6,
    parameter RMW_CYCLES       = 4,
    parameter ACT_DEPTH        = 4096,
    parameter ACT_ADDR_W       = 12,
    parameter WGT_DEPTH        = 2048,
    parameter WGT_ADDR_W       = 11,
    parameter ACC_DEPTH        = 512,
    parameter ACC_ADDR_W       = 9,
    parameter BIAS_DEPTH       = 64,
    parameter BIAS_ADDR_W      = 6,
    parameter OUT_DEPTH        = 1024,
    parameter OUT_ADDR_W       = 10,
    parameter BOUND_DEPTH      = 1024,         // bounds of one lane: words << BOUND_PACK_W
    parameter BOUND_ADDR_W     = 10,
    parameter BOUND_WALK       = 0,            // who shares a bound, see fitact_bound_walk.v
    parameter BOUND_PACK_W     = 0,
    parameter HAS_BOUND        = 1,
    parameter HAS_BOUND_BUFFER = 1,
    parameter TOKEN_W          = 62
) (
    input  wire                  clk,
    input  wire                  rst_n,
    input  wire                  clear,
    input  wire                  halt,
    // Instruction stream, fields as in fitact_hw/isa.py.
    input  wire                  instr_valid,
    output wire                  instr_ready,
    input  wire                  instr_is_sync,
    input  wire                  instr_push_prev,
    input  wire                  instr_push_next,
    input  wire [15:0]           instr_act_base,
    input  wire [15:0]           instr_kernel_row_stride,
    input  wire [15:0]           instr_channel_stride,
    input  wire [15:0]           instr_image_stride,
    input  wire [15:0]           instr_row_stride,
    input  wire [7:0]            instr_col_stride,
    input  wire [7:0]            instr_kernel_rows,
    input  wire [7:0]            instr_kernel_cols,
    input  wire [15:0]           instr_channel_tiles,
    input  wire [7:0]            instr_images,
    input  wire [15:0]           instr_rows,
    input  wire [15:0]           instr_cols,
    input  wire [15:0]           instr_weight_base,
    input  wire [15:0]           instr_weight_stride,
    input  wire [15:0]           instr_acc_base,
    input  wire [1:0]            instr_acc_mode,
    input  wire [SHIFT_W-1:0]    instr_lshift,
    input  wire                  instr_epilogue,
    input  wire [1:0]            instr_act_mode,
    input  wire                  instr_neuron_bounds,
    input  wire [31:0]           instr_layer_bound,
    input  wire [15:0]           instr_bound_base,
    input  wire [15:0]           instr_bias_base,
    input  wire [15:0]           instr_out_base,
    // Buffer read ports, array edge and pixel tokens.
    output wire                  act_rd_en,
    output wire [ACT_ADDR_W-1:0] act_rd_addr,
    output wire                  wgt_rd_en,
    output wire [WGT_ADDR_W-1:0] wgt_rd_addr,
    output wire                  array_swap,
    output wire [ROWS-1:0]       array_load,
    output wire                  token_valid,
    output wire [TOKEN_W-1:0]    token_data,
    output wire                  busy,
    output wire                  range_error,
    output wire                  gemm_start
);

    `include "fitact_codes.vh"
    `include "fitact_pixel_token.vh"

    localparam GAP   = ((ROWS > RMW_CYCLES) ? ROWS : RMW_CYCLES) - 1;
    localparam GAP_W = $clog2(GAP + 1);

    // ---- The GEMM in the streamer -----------------------------------------------------------------
    reg [15:0]        kernel_row_stride_q, channel_stride_q, image_stride_q, row_stride_q, weight_stride_q;
    reg [15:0]        channel_tiles_q, rows_q, cols_q;
    reg [15:0]        acc_base_q, bias_base_q, out_base_q;
    reg [7:0]         col_stride_q, kernel_cols_q, images_q;
    reg [SHIFT_W-1:0] lshift_q;
    reg [1:0]         act_mode_q;
    reg               maximum_q, epilogue_q, push_prev_q, push_next_q;

    // ---- Control of the two machines --------------------------------------------------------------
    reg             gemm_q;     // a GEMM has tiles to begin or pixels to issue
    reg             stream_q;   // a pixel is issued in this cycle
    reg             loading_q;  // a weight row is read in this cycle
    reg             staged_q;   // the next tile is in the shadow weights, or its rows follow every cycle
    reg [ROWS-1:0]  load_row_q; // the row that is read, one hot
    reg [GAP_W-1:0] gap_q;      // cycles until the next tile may begin

    // Tiles left in the GEMM and pixels left in the tile, counted down to 1.
    reg [15:0] channels_left_q, cols_left_q, rows_left_q;
    reg [7:0]  kernel_cols_left_q, kernel_rows_left_q, images_left_q;

    wire last_channel    = channels_left_q == 16'd1;
    wire last_kernel_col = kernel_cols_left_q == 8'd1;
    wire last_tile       = last_channel && last_kernel_col && kernel_rows_left_q == 8'd1;
    wire last_col        = cols_left_q == 16'd1;
    wire last_row        = rows_left_q == 16'd1;
    wire last_pixel      = last_col && last_row && images_left_q == 8'd1;

    wire more_tiles = gemm_q && !last_tile;
    wire gemm_waits = instr_valid && !instr_is_sync;
    wire may_begin  = staged_q && gap_q == {GAP_W{1'b0}} && (!stream_q || last_pixel) && !halt;
    wire begin_next = may_begin && more_tiles;
    wire begin_gemm = may_begin && !more_tiles && gemm_waits;
    wire begin_tile = begin_next || begin_gemm;
    wire take_sync  = instr_valid && instr_is_sync && !gemm_q && !halt;
    wire load_free  = !staged_q && (!loading_q || load_row_q[ROWS-1]);
    wire start_load = load_free && (more_tiles || gemm_waits) && !halt;

    assign instr_ready = begin_gemm || take_sync;
    assign gemm_start  = begin_gemm;

    always @(posedge clk) begin
        if (!rst_n || clear || halt) begin
            gemm_q     <= 1'b0;
            stream_q   <= 1'b0;
            loading_q  <= 1'b0;
            staged_q   <= 1'b0;
            load_row_q <= {ROWS{1'b0}};
            gap_q      <= {GAP_W{1'b0}};
        end else begin
            gemm_q     <= begin_gemm || (gemm_q && !(stream_q && last_pixel && last_tile));
            stream_q   <= begin_tile || (stream_q && !last_pixel);
            loading_q  <= start_load || (loading_q && !load_row_q[ROWS-1]);
            staged_q   <= load_row_q[0] || (staged_q && !begin_tile);
            load_row_q <= {load_row_q[ROWS-2:0], start_load};
            if (begin_tile)                  gap_q <= GAP[GAP_W-1:0];
            else if (gap_q != {GAP_W{1'b0}}) gap_q <= gap_q - 1'b1;
        end
    end

    always @(posedge clk) begin
        if (begin_gemm) begin
            push_prev_q         <= instr_push_prev;
            push_next_q         <= instr_push_next;
            kernel_row_stride_q <= instr_kernel_row_stride;
            channel_stride_q    <= instr_channel_stride;
            image_stride_q      <= instr_image_stride;
            row_stride_q        <= instr_row_stride;
            col_stride_q        <= instr_col_stride;
            kernel_cols_q       <= instr_kernel_cols;
            channel_tiles_q     <= instr_channel_tiles;
            images_q            <= instr_images;
            rows_q              <= instr_rows;
            cols_q              <= instr_cols;
            weight_stride_q     <= instr_weight_stride;
            acc_base_q          <= instr_acc_base;
            maximum_q           <= instr_acc_mode[1];
            lshift_q            <= instr_lshift;
            epilogue_q          <= instr_epilogue;
            act_mode_q          <= instr_act_mode;
            bias_base_q         <= instr_bias_base;
            out_base_q          <= instr_out_base;
        end
    end

    // ---- Tiles: kernel row, kernel column, channel tile (innermost) ---------------------------------
    reg  [16:0] tile_act_q;       // activation of the tile's first pixel,
    reg  [16:0] kernel_col_act_q; // the same for channel tile 0 of this kernel column,
    reg  [16:0] kernel_row_act_q; // and for kernel column 0 of this kernel row
    reg  [16:0] weight_q;         // first weight word of the tile
    reg  [16:0] wgt_addr_q;       // weight word that the loader reads
    reg  [1:0]  acc_op_q;

    wire [16:0] next_kernel_row = kernel_row_act_q + {1'b0, kernel_row_stride_q};
    wire [16:0] next_kernel_col = last_kernel_col ? next_kernel_row : kernel_col_act_q + 17'd1;
    wire [16:0] next_tile_act   = last_channel ? next_kernel_col : tile_act_q + {1'b0, channel_stride_q};
    wire [16:0] next_weight     = weight_q + {1'b0, weight_stride_q};
    wire [16:0] first_act       = begin_gemm ? {1'b0, instr_act_base} : next_tile_act;

    always @(posedge clk) begin
        if (begin_gemm) begin
            channels_left_q    <= instr_channel_tiles;
            kernel_cols_left_q <= instr_kernel_cols;
            kernel_rows_left_q <= instr_kernel_rows;
            tile_act_q         <= first_act;
            kernel_col_act_q   <= first_act;
            kernel_row_act_q   <= first_act;
            weight_q           <= {1'b0, instr_weight_base};
            acc_op_q           <= instr_acc_mode[0] ? (instr_acc_mode[1] ? OP_MAX : OP_ADD) : OP_OVERWRITE;
        end else if (begin_next) begin
            channels_left_q <= last_channel ? channel_tiles_q : channels_left_q - 16'd1;
            tile_act_q      <= first_act;
            weight_q        <= next_weight;
            acc_op_q        <= maximum_q ? OP_MAX : OP_ADD;
            if (last_channel) begin
                kernel_cols_left_q <= last_kernel_col ? kernel_cols_q : kernel_cols_left_q - 8'd1;
                kernel_col_act_q   <= first_act;
            end
            if (last_channel && last_kernel_col) begin
                kernel_rows_left_q <= kernel_rows_left_q - 8'd1;
                kernel_row_act_q   <= first_act;
            end
        end
    end

    always @(posedge clk) begin
        if (start_load)     wgt_addr_q <= more_tiles ? next_weight : {1'b0, instr_weight_base};
        else if (loading_q) wgt_addr_q <= wgt_addr_q + 17'd1;
    end

    // ---- Pixels: image, row, column (innermost) ------------------------------------------------------
    reg  [16:0] act_q;       // activation of the pixel,
    reg  [16:0] act_row_q;   // of the first pixel of its row
    reg  [16:0] act_image_q; // and of its image
    reg  [16:0] acc_q, out_q;

    wire [16:0] next_image_act = act_image_q + {1'b0, image_stride_q};
    wire [16:0] next_row_act   = last_row ? next_image_act : act_row_q + {1'b0, row_stride_q};
    wire [16:0] next_act       = last_col ? next_row_act : act_q + {9'd0, col_stride_q};

    always @(posedge clk) begin
        if (begin_tile) begin
            act_q         <= first_act;
            act_row_q     <= first_act;
            act_image_q   <= first_act;
            acc_q         <= {1'b0, begin_gemm ? instr_acc_base : acc_base_q};
            out_q         <= {1'b0, begin_gemm ? instr_out_base : out_base_q};
            cols_left_q   <= begin_gemm ? instr_cols : cols_q;
            rows_left_q   <= begin_gemm ? instr_rows : rows_q;
            images_left_q <= begin_gemm ? instr_images : images_q;
        end else if (stream_q) begin
            act_q       <= next_act;
            acc_q       <= acc_q + 17'd1;
            out_q       <= out_q + 17'd1;
            cols_left_q <= last_col ? cols_q : cols_left_q - 16'd1;
            if (last_col) begin
                act_row_q   <= next_act;
                rows_left_q <= last_row ? rows_q : rows_left_q - 16'd1;
                if (last_row) begin
                    act_image_q   <= next_act;
                    images_left_q <= images_left_q - 8'd1;
                end
            end
        end
    end

    // ---- Accesses of this cycle -----------------------------------------------------------------------
    wire leaves      = stream_q && epilogue_q && last_tile;
    wire acc_reads   = stream_q && acc_op_q != OP_OVERWRITE;
    wire acc_writes  = stream_q && !leaves;
    wire act_inside  = act_q < ACT_DEPTH[16:0];
    wire wgt_inside  = wgt_addr_q < WGT_DEPTH[16:0];
    wire acc_inside  = acc_q < ACC_DEPTH[16:0];
    wire out_inside  = out_q < OUT_DEPTH[16:0];
    wire bias_inside = {1'b0, bias_base_q} < BIAS_DEPTH[16:0];
    wire bound_outside;

    wire outside = (stream_q && !act_inside) || (loading_q && !wgt_inside)
                || ((acc_reads || acc_writes) && !acc_inside)
                || (leaves && !(out_inside && bias_inside)) || bound_outside;

    assign act_rd_en   = stream_q && act_inside;
    assign act_rd_addr = act_q[ACT_ADDR_W-1:0];
    assign wgt_rd_en   = loading_q && wgt_inside;
    assign wgt_rd_addr = wgt_addr_q[WGT_ADDR_W-1:0];

    // ---- The token ---------------------------------------------------------------------------------------
    wire [TOKEN_W-1:0] token;
    wire               retires = take_sync || (stream_q && last_pixel && last_tile);

    assign token[T_ACC_RD]                   = acc_reads && acc_inside;
    assign token[T_ACC_WR]                   = acc_writes && acc_inside;
    assign token[T_BIAS_RD]                  = leaves && bias_inside;
    assign token[T_OUT_WR]                   = leaves && out_inside;
    assign token[T_RETIRE]                   = retires;
    assign token[T_PUSH_PREV]                = retires && (take_sync ? instr_push_prev : push_prev_q);
    assign token[T_PUSH_NEXT]                = retires && (take_sync ? instr_push_next : push_next_q);
    assign token[T_ACC_OP +: 2]              = acc_op_q;
    assign token[T_ACT_MODE +: 2]            = act_mode_q;
    assign token[T_LSHIFT +: SHIFT_W]        = lshift_q;
    assign token[T_ACC_ADDR +: ACC_ADDR_W]   = acc_q[ACC_ADDR_W-1:0];
    assign token[T_BIAS_ADDR +: BIAS_ADDR_W] = bias_base_q[BIAS_ADDR_W-1:0];
    assign token[T_OUT_ADDR +: OUT_ADDR_W]   = out_q[OUT_ADDR_W-1:0];

    generate
        if (HAS_BOUND != 0) begin : g_layer_bound
            reg [DATA_W-1:0] layer_bound_q;

            always @(posedge clk) if (begin_gemm) layer_bound_q <= instr_layer_bound[DATA_W-1:0];

            assign token[T_LAYER_BOUND +: DATA_W] = layer_bound_q;
        end
    endgenerate

    generate
        if (HAS_BOUND_BUFFER != 0) begin : g_neuron_bound
            reg         neuron_bounds_q;
            wire [16:0] bound;
            wire        bound_fresh;

            always @(posedge clk) if (begin_gemm) neuron_bounds_q <= instr_neuron_bounds;

            fitact_bound_walk #(.WALK(BOUND_WALK), .PACK_W(BOUND_PACK_W)) u_bound_walk (
                .clk(clk),
                .begin_gemm(begin_gemm), .begin_tile(begin_tile), .step(stream_q),
                .last_col(last_col), .last_row(last_row),
                .base(instr_bound_base),
                .place(bound), .fresh(bound_fresh)
            );

            wire bound_used   = leaves && neuron_bounds_q;
            wire bound_inside = bound < BOUND_DEPTH[16:0];

            assign bound_outside                       = bound_used && !bound_inside;
            assign token[T_BOUND_RD]                   = bound_used && bound_inside && bound_fresh;
            assign token[T_NEURON]                     = neuron_bounds_q;
            assign token[T_BOUND_ADDR +: BOUND_ADDR_W] = bound[BOUND_ADDR_W-1:0];
        end else begin : g_no_neuron_bound
            assign bound_outside = 1'b0;

            wire unused = &{1'b0, instr_neuron_bounds, instr_bound_base,
                            BOUND_DEPTH[0], T_NEURON[0], T_BOUND_ADDR[0]};
        end
    endgenerate

    wire unused = &{1'b0, instr_layer_bound};

    // ---- One cycle later ----------------------------------------------------------------------------------
    reg               swap_q, token_valid_q, range_error_q;
    reg [ROWS-1:0]    array_load_q;
    reg [TOKEN_W-1:0] token_q;

    always @(posedge clk) begin
        if (!rst_n || clear || halt) begin
            swap_q        <= 1'b0;
            array_load_q  <= {ROWS{1'b0}};
            token_valid_q <= 1'b0;
            range_error_q <= 1'b0;
        end else begin
            swap_q        <= begin_tile;
            array_load_q  <= load_row_q;
            token_valid_q <= stream_q || take_sync;
            range_error_q <= outside;
        end
    end

    always @(posedge clk) if (stream_q || take_sync) token_q <= token;

    assign array_swap  = swap_q;
    assign array_load  = array_load_q;
    assign token_valid = token_valid_q;
    assign token_data  = token_q;
    assign range_error = range_error_q;
    assign busy        = gemm_q || loading_q || staged_q || token_valid_q;

endmodule

`default_nettype wire
