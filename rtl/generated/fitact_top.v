// FitAct accelerator: weight-stationary systolic array whose lanes clamp every neuron.
//
//     s_axil_* -- csr -- control
//                 fetch -- decode -- load queue ---- load ----> activation, weight, bias, bound buffer
//                                    compute queue - sequencer   |          |          |
//                                    |               |           v          v          v
//                                    |               +-> array --+-> lanes (accumulate, shift, clamp)
//                                    store queue --- store <------------- output buffer
//     m_axi_* --- fetch and load (read), store (write)
//
// Load, compute and store unit run at the same time and wait for each other with tokens.
// Bounds in this configuration: neuron, word.
//
// Composed by fitact_hw.verilog for the default configuration (16x16, 8-bit words, bounds: neuron); change the
// generator, not this file.

`default_nettype none

module fitact_top #(
    parameter ROWS         = 16,    // array rows: input channels
    parameter COLS         = 16,    // array columns: output channels
    parameter DATA_W       = 8,
    parameter ACC_W        = 32,
    parameter SHIFT_W      = 6,
    parameter BUS_BITS     = 128,   // AXI data width
    parameter QUEUE_DEPTH  = 4,     // instructions waiting for each unit
    parameter CSR_ADDR_W   = 12,
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
    input  wire                  clk,
    input  wire                  rst_n,
    output wire                  irq,                // done or error, if enabled

    // AXI4-Lite slave: registers.
    input  wire [CSR_ADDR_W-1:0] s_axil_awaddr,
    input  wire                  s_axil_awvalid,
    output wire                  s_axil_awready,
    input  wire [31:0]           s_axil_wdata,
    input  wire [3:0]            s_axil_wstrb,
    input  wire                  s_axil_wvalid,
    output wire                  s_axil_wready,
    output wire [1:0]            s_axil_bresp,
    output wire                  s_axil_bvalid,
    input  wire                  s_axil_bready,
    input  wire [CSR_ADDR_W-1:0] s_axil_araddr,
    input  wire                  s_axil_arvalid,
    output wire                  s_axil_arready,
    output wire [31:0]           s_axil_rdata,
    output wire [1:0]            s_axil_rresp,
    output wire                  s_axil_rvalid,
    input  wire                  s_axil_rready,

    // AXI4 master: memory.
    output wire [0:0]            m_axi_awid,
    output wire [31:0]           m_axi_awaddr,
    output wire [7:0]            m_axi_awlen,
    output wire [2:0]            m_axi_awsize,
    output wire [1:0]            m_axi_awburst,
    output wire                  m_axi_awlock,
    output wire [3:0]            m_axi_awcache,
    output wire [2:0]            m_axi_awprot,
    output wire                  m_axi_awvalid,
    input  wire                  m_axi_awready,
    output wire [0:0]            m_axi_arid,         // 0: fetch, 1: load
    output wire [31:0]           m_axi_araddr,
    output wire [7:0]            m_axi_arlen,
    output wire [2:0]            m_axi_arsize,
    output wire [1:0]            m_axi_arburst,
    output wire                  m_axi_arlock,
    output wire [3:0]            m_axi_arcache,
    output wire [2:0]            m_axi_arprot,
    output wire                  m_axi_arvalid,
    input  wire                  m_axi_arready,
    output wire [BUS_BITS-1:0]   m_axi_wdata,
    output wire [BUS_BITS/8-1:0] m_axi_wstrb,
    output wire                  m_axi_wlast,
    output wire                  m_axi_wvalid,
    input  wire                  m_axi_wready,
    input  wire [0:0]            m_axi_bid,
    input  wire [1:0]            m_axi_bresp,
    input  wire                  m_axi_bvalid,
    output wire                  m_axi_bready,
    input  wire [0:0]            m_axi_rid,
    input  wire [BUS_BITS-1:0]   m_axi_rdata,
    input  wire [1:0]            m_axi_rresp,
    input  wire                  m_axi_rlast,
    input  wire                  m_axi_rvalid,
    output wire                  m_axi_rready,

    // One-cycle pulses for measurement; the hardware does not need them.
    output wire                  trace_load_start,   // a LOAD was taken by its unit
    output wire                  trace_load_done,    // its last word is being written
    output wire                  trace_gemm_start,   // the first weight tile of a GEMM becomes active
    output wire                  trace_gemm_done,    // a GEMM's last pixel leaves the lanes, or a SYNC
    output wire                  trace_store_start,  // a STORE was taken by its unit
    output wire                  trace_store_done    // its last write response has come back
);

    // Sizes that follow from the configuration.
    localparam INSTR_BITS      = 512;
    localparam OPCODE_W        = 4;
    localparam FINISH_OPCODE   = 5;
    localparam BIAS_BUFFER     = 2;                // number of the bias buffer in a LOAD
    localparam WORD_BYTES      = 16;               // an activation, weight, bound or output word in memory
    localparam BIAS_WORD_BYTES = 128;              // a bias word in memory
    localparam BIAS_LANE_W     = ACC_W + SHIFT_W;  // bias and shift of one column
    localparam BIAS_SLOT       = 64;               // bits from one bias lane to the next in memory
    localparam LOAD_DATA_W     = 1024;             // widest word in memory
    localparam TOKEN_W         = 60;               // a pixel's token, see fitact_pixel_token.vh
    // cycles from a pixel at the array's edge to its accumulator read
    localparam TOKEN_DELAY     = ROWS + COLS - 2;
    localparam TOKEN_COUNT_W   = 8;                // a counter of tokens between two units
    localparam RMW_CYCLES      = 4;                // shortest stay of a weight tile
    localparam LOAD_BITS       = 198;              // entry of the load queue
    localparam COMPUTE_BITS    = 305;              // entry of the compute queue
    localparam STORE_BITS      = 164;              // entry of the store queue

    // Bound hardware: 0 none, 1 layer, 2 channel, 3 patch, 4 neuron.
    localparam [2:0] BOUNDS      = 3'd4;
    localparam [0:0] BOUND_CODES = 1'b0;                         // 4-bit codes
    localparam HAS_BOUND         = 1;
    localparam HAS_BOUND_BUFFER  = 1;
    localparam BOUND_WALK        = 0;                            // who shares a bound, see fitact_bound_walk.v
    // 2^BOUND_PACK_W bounds in a lane of a bound word
    localparam BOUND_PACK_W      = 0;
    localparam BOUND_ENTRIES     = BOUND_DEPTH << BOUND_PACK_W;  // bounds of a lane in the whole buffer
    localparam BOUND_ENTRY_W     = BOUND_ADDR_W + BOUND_PACK_W;

    // Registers and control.
    wire        clear;                // pulse: a program starts
    wire        start_fetch;          // pulse, one cycle later
    wire        halt;                 // after an error: nothing new is started
    wire        control_start;
    wire        control_irq_enable;
    wire        status_busy;
    wire        status_done;
    wire        status_done_set;
    wire        status_error;
    wire        status_error_set;
    wire [3:0]  status_code;
    wire [31:0] program_address;
    wire [31:0] window_base;          // first and last byte that the machine may access
    wire [31:0] window_last;
    wire [31:0] watchdog_cycles;
    wire [63:0] cycles;
    wire [31:0] instructions;
    wire        dispatched;
    wire        finish;
    wire        illegal_instruction;
    wire        fetch_busy;
    wire        load_busy;
    wire        compute_busy;
    wire        store_busy;
    wire        fetch_address_error;
    wire        load_address_error;
    wire        store_address_error;
    wire        fetch_bus_error;
    wire        load_bus_error;
    wire        store_bus_error;
    wire        load_range_error;
    wire        compute_range_error;
    wire        store_range_error;
    wire        token_overflow;
    wire        queues_busy;
    wire        running;

    fitact_csr #(
        .ADDR_W (CSR_ADDR_W)
    ) u_csr (
        .clk                       (clk),
        .rst_n                     (rst_n),
        .clear                     (clear),
        .s_axil_awaddr             (s_axil_awaddr),
        .s_axil_awvalid            (s_axil_awvalid),
        .s_axil_awready            (s_axil_awready),
        .s_axil_wdata              (s_axil_wdata),
        .s_axil_wstrb              (s_axil_wstrb),
        .s_axil_wvalid             (s_axil_wvalid),
        .s_axil_wready             (s_axil_wready),
        .s_axil_bresp              (s_axil_bresp),
        .s_axil_bvalid             (s_axil_bvalid),
        .s_axil_bready             (s_axil_bready),
        .s_axil_araddr             (s_axil_araddr),
        .s_axil_arvalid            (s_axil_arvalid),
        .s_axil_arready            (s_axil_arready),
        .s_axil_rdata              (s_axil_rdata),
        .s_axil_rresp              (s_axil_rresp),
        .s_axil_rvalid             (s_axil_rvalid),
        .s_axil_rready             (s_axil_rready),
        .control_start             (control_start),
        .control_irq_enable        (control_irq_enable),
        .status_done               (status_done),
        .status_error              (status_error),
        .program_address           (program_address),
        .window_base_address       (window_base),
        .window_last_address       (window_last),
        .watchdog_cycles           (watchdog_cycles),
        .status_busy               (status_busy),
        .status_done_set           (status_done_set),
        .status_error_set          (status_error_set),
        .status_code               (status_code),
        .cycles_low_value          (cycles[31:0]),
        .cycles_high_value         (cycles[63:32]),
        .instructions_value        (instructions),
        .configuration_rows        (ROWS[7:0]),
        .configuration_cols        (COLS[7:0]),
        .configuration_word_bits   (DATA_W[7:0]),
        .configuration_bounds      (BOUNDS),
        .configuration_bound_codes (BOUND_CODES)
    );

    fitact_control u_control (
        .clk                 (clk),
        .rst_n               (rst_n),
        .start               (control_start),
        .irq_enable          (control_irq_enable),
        .watchdog_cycles     (watchdog_cycles),
        .status_done         (status_done),
        .status_error        (status_error),
        .set_done            (status_done_set),
        .set_error           (status_error_set),
        .error_code          (status_code),
        .busy                (status_busy),
        .cycles              (cycles),
        .instructions        (instructions),
        .irq                 (irq),
        .clear               (clear),
        .start_fetch         (start_fetch),
        .halt                (halt),
        .running             (running),
        .finish              (finish),
        .dispatched          (dispatched),
        .queues_busy         (queues_busy),
        .fetch_busy          (fetch_busy),
        .load_busy           (load_busy),
        .compute_busy        (compute_busy),
        .store_busy          (store_busy),
        .illegal_instruction (illegal_instruction),
        .fetch_address_error (fetch_address_error),
        .load_address_error  (load_address_error),
        .store_address_error (store_address_error),
        .fetch_bus_error     (fetch_bus_error),
        .load_bus_error      (load_bus_error),
        .store_bus_error     (store_bus_error),
        .load_range_error    (load_range_error),
        .compute_range_error (compute_range_error),
        .store_range_error   (store_range_error),
        .token_overflow      (token_overflow)
    );

    // Program: fetch and load share the read channel; the decoder sends instructions to the queues.
    wire                    fetch_arvalid;
    wire [31:0]             fetch_araddr;
    wire [7:0]              fetch_arlen;
    wire [2:0]              fetch_arsize;
    wire [1:0]              fetch_arburst;
    wire                    fetch_rready;
    wire                    fetch_arready;
    wire                    fetch_rvalid;
    wire [BUS_BITS-1:0]     fetch_rdata;
    wire [1:0]              fetch_rresp;
    wire                    fetch_rlast;
    wire                    load_arvalid;
    wire [31:0]             load_araddr;
    wire [7:0]              load_arlen;
    wire [2:0]              load_arsize;
    wire [1:0]              load_arburst;
    wire                    load_rready;
    wire                    load_arready;
    wire                    load_rvalid;
    wire [BUS_BITS-1:0]     load_rdata;
    wire [1:0]              load_rresp;
    wire                    load_rlast;
    wire                    instr_valid;
    wire                    instr_ready;
    wire [INSTR_BITS-1:0]   instr_data;
    wire                    load_entry_valid;
    wire                    load_entry_ready;
    wire [LOAD_BITS-1:0]    load_entry_data;
    wire                    compute_entry_valid;
    wire                    compute_entry_ready;
    wire [COMPUTE_BITS-1:0] compute_entry_data;
    wire                    store_entry_valid;
    wire                    store_entry_ready;
    wire [STORE_BITS-1:0]   store_entry_data;

    fitact_fetch #(
        .BUS_BITS      (BUS_BITS),
        .INSTR_BITS    (INSTR_BITS),
        .OPCODE_W      (OPCODE_W),
        .FINISH_OPCODE (FINISH_OPCODE)
    ) u_fetch (
        .clk             (clk),
        .rst_n           (rst_n),
        .clear           (clear),
        .halt            (halt),
        .start           (start_fetch),
        .program_address (program_address),
        .window_base     (window_base),
        .window_last     (window_last),
        .arvalid         (fetch_arvalid),
        .araddr          (fetch_araddr),
        .arlen           (fetch_arlen),
        .arsize          (fetch_arsize),
        .arburst         (fetch_arburst),
        .rready          (fetch_rready),
        .arready         (fetch_arready),
        .rvalid          (fetch_rvalid),
        .rdata           (fetch_rdata),
        .rresp           (fetch_rresp),
        .rlast           (fetch_rlast),
        .instr_valid     (instr_valid),
        .instr_ready     (instr_ready),
        .instr_data      (instr_data),
        .address_error   (fetch_address_error),
        .bus_error       (fetch_bus_error),
        .busy            (fetch_busy)
    );

    fitact_read_arbiter #(
        .BUS_BITS (BUS_BITS)
    ) u_arbiter (
        .clk           (clk),
        .rst_n         (rst_n),
        .fetch_arvalid (fetch_arvalid),
        .fetch_araddr  (fetch_araddr),
        .fetch_arlen   (fetch_arlen),
        .fetch_arsize  (fetch_arsize),
        .fetch_arburst (fetch_arburst),
        .fetch_rready  (fetch_rready),
        .fetch_arready (fetch_arready),
        .fetch_rvalid  (fetch_rvalid),
        .fetch_rdata   (fetch_rdata),
        .fetch_rresp   (fetch_rresp),
        .fetch_rlast   (fetch_rlast),
        .load_arvalid  (load_arvalid),
        .load_araddr   (load_araddr),
        .load_arlen    (load_arlen),
        .load_arsize   (load_arsize),
        .load_arburst  (load_arburst),
        .load_rready   (load_rready),
        .load_arready  (load_arready),
        .load_rvalid   (load_rvalid),
        .load_rdata    (load_rdata),
        .load_rresp    (load_rresp),
        .load_rlast    (load_rlast),
        .m_axi_arid    (m_axi_arid),
        .m_axi_araddr  (m_axi_araddr),
        .m_axi_arlen   (m_axi_arlen),
        .m_axi_arsize  (m_axi_arsize),
        .m_axi_arburst (m_axi_arburst),
        .m_axi_arvalid (m_axi_arvalid),
        .m_axi_arready (m_axi_arready),
        .m_axi_rid     (m_axi_rid),
        .m_axi_rdata   (m_axi_rdata),
        .m_axi_rresp   (m_axi_rresp),
        .m_axi_rlast   (m_axi_rlast),
        .m_axi_rvalid  (m_axi_rvalid),
        .m_axi_rready  (m_axi_rready)
    );

    fitact_decode #(
        .INSTR_BITS   (INSTR_BITS),
        .LOAD_BITS    (LOAD_BITS),
        .COMPUTE_BITS (COMPUTE_BITS),
        .STORE_BITS   (STORE_BITS)
    ) u_decode (
        .halt                (halt),
        .instr_valid         (instr_valid),
        .instr_ready         (instr_ready),
        .instr_data          (instr_data),
        .load_valid          (load_entry_valid),
        .load_ready          (load_entry_ready),
        .load_data           (load_entry_data),
        .compute_valid       (compute_entry_valid),
        .compute_ready       (compute_entry_ready),
        .compute_data        (compute_entry_data),
        .store_valid         (store_entry_valid),
        .store_ready         (store_entry_ready),
        .store_data          (store_entry_data),
        .dispatched          (dispatched),
        .finish              (finish),
        .illegal_instruction (illegal_instruction)
    );

    // Ordinary, not locked, bufferable memory, data access.
    assign m_axi_awlock  = 1'b0;
    assign m_axi_awcache = 4'b0011;
    assign m_axi_awprot  = 3'b000;
    assign m_axi_arlock  = 1'b0;
    assign m_axi_arcache = 4'b0011;
    assign m_axi_arprot  = 3'b000;

    // Tokens between neighbouring units.
    wire load_push_next;
    wire compute_take_prev;
    wire compute_push_prev;
    wire load_take_next;
    wire compute_push_next;
    wire store_take_prev;
    wire store_push_prev;
    wire compute_take_next;
    wire load_to_compute_available;
    wire load_to_compute_overflow;
    wire compute_to_load_available;
    wire compute_to_load_overflow;
    wire compute_to_store_available;
    wire compute_to_store_overflow;
    wire store_to_compute_available;
    wire store_to_compute_overflow;

    fitact_token #(
        .COUNT_W (TOKEN_COUNT_W)
    ) u_load_to_compute (
        .clk       (clk),
        .rst_n     (rst_n),
        .clear     (clear),
        .push      (load_push_next),
        .pop       (compute_take_prev),
        .available (load_to_compute_available),
        .overflow  (load_to_compute_overflow)
    );

    fitact_token #(
        .COUNT_W (TOKEN_COUNT_W)
    ) u_compute_to_load (
        .clk       (clk),
        .rst_n     (rst_n),
        .clear     (clear),
        .push      (compute_push_prev),
        .pop       (load_take_next),
        .available (compute_to_load_available),
        .overflow  (compute_to_load_overflow)
    );

    fitact_token #(
        .COUNT_W (TOKEN_COUNT_W)
    ) u_compute_to_store (
        .clk       (clk),
        .rst_n     (rst_n),
        .clear     (clear),
        .push      (compute_push_next),
        .pop       (store_take_prev),
        .available (compute_to_store_available),
        .overflow  (compute_to_store_overflow)
    );

    fitact_token #(
        .COUNT_W (TOKEN_COUNT_W)
    ) u_store_to_compute (
        .clk       (clk),
        .rst_n     (rst_n),
        .clear     (clear),
        .push      (store_push_prev),
        .pop       (compute_take_next),
        .available (store_to_compute_available),
        .overflow  (store_to_compute_overflow)
    );

    assign token_overflow = load_to_compute_overflow || compute_to_load_overflow ||
            compute_to_store_overflow || store_to_compute_overflow;

    // Queue of the load unit and its instruction, field by field.
    wire        load_waiting;
    wire        load_instr_valid;
    wire        load_instr_ready;
    wire        load_instr_push_next;
    wire [1:0]  load_instr_buffer;
    wire [15:0] load_instr_buffer_base;
    wire [31:0] load_instr_mem_addr;
    wire [15:0] load_instr_cols;
    wire [15:0] load_instr_rows;
    wire [15:0] load_instr_planes;
    wire [31:0] load_instr_row_stride;
    wire [31:0] load_instr_plane_stride;
    wire [7:0]  load_instr_pad_left;
    wire [7:0]  load_instr_pad_right;
    wire [7:0]  load_instr_pad_top;
    wire [7:0]  load_instr_pad_bottom;

    fitact_load_queue #(
        .DEPTH      (QUEUE_DEPTH),
        .ENTRY_BITS (LOAD_BITS)
    ) u_load_queue (
        .clk                (clk),
        .rst_n              (rst_n),
        .clear              (clear),
        .halt               (halt),
        .entry_valid        (load_entry_valid),
        .entry_ready        (load_entry_ready),
        .entry_data         (load_entry_data),
        .waiting            (load_waiting),
        .next_available     (compute_to_load_available),
        .take_next          (load_take_next),
        .instr_valid        (load_instr_valid),
        .instr_ready        (load_instr_ready),
        .instr_push_next    (load_instr_push_next),
        .instr_buffer       (load_instr_buffer),
        .instr_buffer_base  (load_instr_buffer_base),
        .instr_mem_addr     (load_instr_mem_addr),
        .instr_cols         (load_instr_cols),
        .instr_rows         (load_instr_rows),
        .instr_planes       (load_instr_planes),
        .instr_row_stride   (load_instr_row_stride),
        .instr_plane_stride (load_instr_plane_stride),
        .instr_pad_left     (load_instr_pad_left),
        .instr_pad_right    (load_instr_pad_right),
        .instr_pad_top      (load_instr_pad_top),
        .instr_pad_bottom   (load_instr_pad_bottom)
    );

    // Queue of the compute unit and its instruction, field by field.
    wire        compute_waiting;
    wire        compute_instr_valid;
    wire        compute_instr_ready;
    wire        compute_instr_is_sync;
    wire        compute_instr_push_prev;
    wire        compute_instr_push_next;
    wire [15:0] compute_instr_act_base;
    wire [15:0] compute_instr_kernel_row_stride;
    wire [15:0] compute_instr_channel_stride;
    wire [15:0] compute_instr_image_stride;
    wire [15:0] compute_instr_row_stride;
    wire [7:0]  compute_instr_col_stride;
    wire [7:0]  compute_instr_kernel_rows;
    wire [7:0]  compute_instr_kernel_cols;
    wire [15:0] compute_instr_channel_tiles;
    wire [7:0]  compute_instr_images;
    wire [15:0] compute_instr_rows;
    wire [15:0] compute_instr_cols;
    wire [15:0] compute_instr_weight_base;
    wire [15:0] compute_instr_weight_stride;
    wire [15:0] compute_instr_acc_base;
    wire [1:0]  compute_instr_acc_mode;
    wire [5:0]  compute_instr_lshift;
    wire        compute_instr_epilogue;
    wire [1:0]  compute_instr_act_mode;
    wire        compute_instr_neuron_bounds;
    wire [31:0] compute_instr_layer_bound;
    wire [15:0] compute_instr_bound_base;
    wire [15:0] compute_instr_bias_base;
    wire [15:0] compute_instr_out_base;

    fitact_compute_queue #(
        .DEPTH      (QUEUE_DEPTH),
        .ENTRY_BITS (COMPUTE_BITS)
    ) u_compute_queue (
        .clk                     (clk),
        .rst_n                   (rst_n),
        .clear                   (clear),
        .halt                    (halt),
        .entry_valid             (compute_entry_valid),
        .entry_ready             (compute_entry_ready),
        .entry_data              (compute_entry_data),
        .waiting                 (compute_waiting),
        .prev_available          (load_to_compute_available),
        .take_prev               (compute_take_prev),
        .next_available          (store_to_compute_available),
        .take_next               (compute_take_next),
        .instr_valid             (compute_instr_valid),
        .instr_ready             (compute_instr_ready),
        .instr_is_sync           (compute_instr_is_sync),
        .instr_push_prev         (compute_instr_push_prev),
        .instr_push_next         (compute_instr_push_next),
        .instr_act_base          (compute_instr_act_base),
        .instr_kernel_row_stride (compute_instr_kernel_row_stride),
        .instr_channel_stride    (compute_instr_channel_stride),
        .instr_image_stride      (compute_instr_image_stride),
        .instr_row_stride        (compute_instr_row_stride),
        .instr_col_stride        (compute_instr_col_stride),
        .instr_kernel_rows       (compute_instr_kernel_rows),
        .instr_kernel_cols       (compute_instr_kernel_cols),
        .instr_channel_tiles     (compute_instr_channel_tiles),
        .instr_images            (compute_instr_images),
        .instr_rows              (compute_instr_rows),
        .instr_cols              (compute_instr_cols),
        .instr_weight_base       (compute_instr_weight_base),
        .instr_weight_stride     (compute_instr_weight_stride),
        .instr_acc_base          (compute_instr_acc_base),
        .instr_acc_mode          (compute_instr_acc_mode),
        .instr_lshift            (compute_instr_lshift),
        .instr_epilogue          (compute_instr_epilogue),
        .instr_act_mode          (compute_instr_act_mode),
        .instr_neuron_bounds     (compute_instr_neuron_bounds),
        .instr_layer_bound       (compute_instr_layer_bound),
        .instr_bound_base        (compute_instr_bound_base),
        .instr_bias_base         (compute_instr_bias_base),
        .instr_out_base          (compute_instr_out_base)
    );

    // Queue of the store unit and its instruction, field by field.
    wire        store_waiting;
    wire        store_instr_valid;
    wire        store_instr_ready;
    wire        store_instr_push_prev;
    wire [15:0] store_instr_buffer_base;
    wire [31:0] store_instr_mem_addr;
    wire [15:0] store_instr_cols;
    wire [15:0] store_instr_rows;
    wire [15:0] store_instr_planes;
    wire [31:0] store_instr_row_stride;
    wire [31:0] store_instr_plane_stride;

    fitact_store_queue #(
        .DEPTH      (QUEUE_DEPTH),
        .ENTRY_BITS (STORE_BITS)
    ) u_store_queue (
        .clk                (clk),
        .rst_n              (rst_n),
        .clear              (clear),
        .halt               (halt),
        .entry_valid        (store_entry_valid),
        .entry_ready        (store_entry_ready),
        .entry_data         (store_entry_data),
        .waiting            (store_waiting),
        .prev_available     (compute_to_store_available),
        .take_prev          (store_take_prev),
        .instr_valid        (store_instr_valid),
        .instr_ready        (store_instr_ready),
        .instr_push_prev    (store_instr_push_prev),
        .instr_buffer_base  (store_instr_buffer_base),
        .instr_mem_addr     (store_instr_mem_addr),
        .instr_cols         (store_instr_cols),
        .instr_rows         (store_instr_rows),
        .instr_planes       (store_instr_planes),
        .instr_row_stride   (store_instr_row_stride),
        .instr_plane_stride (store_instr_plane_stride)
    );

    assign queues_busy = instr_valid || load_waiting || compute_waiting || store_waiting;

    // Load unit.
    wire [3:0]             load_wr_en;
    wire [15:0]            load_wr_addr;
    wire [LOAD_DATA_W-1:0] load_wr_data;
    wire                   load_start;
    wire                   load_retire;

    fitact_load #(
        .BUS_BITS         (BUS_BITS),
        .WORD_BYTES       (WORD_BYTES),
        .BIAS_WORD_BYTES  (BIAS_WORD_BYTES),
        .WR_DATA_W        (LOAD_DATA_W),
        .ACTIVATION_WORDS (ACT_DEPTH),
        .WEIGHT_WORDS     (WGT_DEPTH),
        .BIAS_WORDS       (BIAS_DEPTH),
        .BOUND_WORDS      (BOUND_DEPTH),
        .BIAS_BUFFER      (BIAS_BUFFER)
    ) u_load (
        .clk                (clk),
        .rst_n              (rst_n),
        .clear              (clear),
        .halt               (halt),
        .window_base        (window_base),
        .window_last        (window_last),
        .instr_valid        (load_instr_valid),
        .instr_ready        (load_instr_ready),
        .instr_push_next    (load_instr_push_next),
        .instr_buffer       (load_instr_buffer),
        .instr_buffer_base  (load_instr_buffer_base),
        .instr_mem_addr     (load_instr_mem_addr),
        .instr_cols         (load_instr_cols),
        .instr_rows         (load_instr_rows),
        .instr_planes       (load_instr_planes),
        .instr_row_stride   (load_instr_row_stride),
        .instr_plane_stride (load_instr_plane_stride),
        .instr_pad_left     (load_instr_pad_left),
        .instr_pad_right    (load_instr_pad_right),
        .instr_pad_top      (load_instr_pad_top),
        .instr_pad_bottom   (load_instr_pad_bottom),
        .arvalid            (load_arvalid),
        .araddr             (load_araddr),
        .arlen              (load_arlen),
        .arsize             (load_arsize),
        .arburst            (load_arburst),
        .rready             (load_rready),
        .arready            (load_arready),
        .rvalid             (load_rvalid),
        .rdata              (load_rdata),
        .rresp              (load_rresp),
        .rlast              (load_rlast),
        .wr_en              (load_wr_en),
        .wr_addr            (load_wr_addr),
        .wr_data            (load_wr_data),
        .load_start         (load_start),
        .retire             (load_retire),
        .push_next          (load_push_next),
        .address_error      (load_address_error),
        .bus_error          (load_bus_error),
        .range_error        (load_range_error),
        .busy               (load_busy)
    );

    // Compute unit: sequencer, array, and the tokens that accompany each pixel to the lanes.
    wire                        act_rd_en;
    wire [ACT_ADDR_W-1:0]       act_rd_addr;
    wire [ROWS*DATA_W-1:0]      act_rd_data;
    wire                        wgt_rd_en;
    wire [WGT_ADDR_W-1:0]       wgt_rd_addr;
    wire [COLS*DATA_W-1:0]      wgt_rd_data;
    wire                        bias_rd_en;
    wire [BIAS_ADDR_W-1:0]      bias_rd_addr;
    wire [COLS*BIAS_LANE_W-1:0] bias_rd_data;
    wire                        bound_rd_en;
    wire [BOUND_ADDR_W-1:0]     bound_rd_addr;
    wire [COLS*DATA_W-1:0]      bound_rd_data;
    wire                        array_swap;
    wire [ROWS-1:0]             array_load;
    wire [COLS*ACC_W-1:0]       psum;            // partial sums of a pixel
    wire                        pixel_valid;     // a pixel stands at the array's edge
    wire [TOKEN_W-1:0]          pixel_token;
    wire                        lane_valid;      // its partial sums stand at the lanes in the next cycle
    wire [TOKEN_W-1:0]          lane_token;
    wire                        sequencer_busy;
    wire                        delay_busy;
    wire                        lanes_busy;
    wire                        gemm_start;
    wire                        compute_retire;

    fitact_sequencer #(
        .ROWS             (ROWS),
        .DATA_W           (DATA_W),
        .SHIFT_W          (SHIFT_W),
        .RMW_CYCLES       (RMW_CYCLES),
        .ACT_DEPTH        (ACT_DEPTH),
        .ACT_ADDR_W       (ACT_ADDR_W),
        .WGT_DEPTH        (WGT_DEPTH),
        .WGT_ADDR_W       (WGT_ADDR_W),
        .ACC_DEPTH        (ACC_DEPTH),
        .ACC_ADDR_W       (ACC_ADDR_W),
        .BIAS_DEPTH       (BIAS_DEPTH),
        .BIAS_ADDR_W      (BIAS_ADDR_W),
        .OUT_DEPTH        (OUT_DEPTH),
        .OUT_ADDR_W       (OUT_ADDR_W),
        .BOUND_DEPTH      (BOUND_ENTRIES),
        .BOUND_ADDR_W     (BOUND_ENTRY_W),
        .BOUND_WALK       (BOUND_WALK),
        .BOUND_PACK_W     (BOUND_PACK_W),
        .HAS_BOUND        (HAS_BOUND),
        .HAS_BOUND_BUFFER (HAS_BOUND_BUFFER),
        .TOKEN_W          (TOKEN_W)
    ) u_sequencer (
        .clk                     (clk),
        .rst_n                   (rst_n),
        .clear                   (clear),
        .halt                    (halt),
        .instr_valid             (compute_instr_valid),
        .instr_ready             (compute_instr_ready),
        .instr_is_sync           (compute_instr_is_sync),
        .instr_push_prev         (compute_instr_push_prev),
        .instr_push_next         (compute_instr_push_next),
        .instr_act_base          (compute_instr_act_base),
        .instr_kernel_row_stride (compute_instr_kernel_row_stride),
        .instr_channel_stride    (compute_instr_channel_stride),
        .instr_image_stride      (compute_instr_image_stride),
        .instr_row_stride        (compute_instr_row_stride),
        .instr_col_stride        (compute_instr_col_stride),
        .instr_kernel_rows       (compute_instr_kernel_rows),
        .instr_kernel_cols       (compute_instr_kernel_cols),
        .instr_channel_tiles     (compute_instr_channel_tiles),
        .instr_images            (compute_instr_images),
        .instr_rows              (compute_instr_rows),
        .instr_cols              (compute_instr_cols),
        .instr_weight_base       (compute_instr_weight_base),
        .instr_weight_stride     (compute_instr_weight_stride),
        .instr_acc_base          (compute_instr_acc_base),
        .instr_acc_mode          (compute_instr_acc_mode),
        .instr_lshift            (compute_instr_lshift),
        .instr_epilogue          (compute_instr_epilogue),
        .instr_act_mode          (compute_instr_act_mode),
        .instr_neuron_bounds     (compute_instr_neuron_bounds),
        .instr_layer_bound       (compute_instr_layer_bound),
        .instr_bound_base        (compute_instr_bound_base),
        .instr_bias_base         (compute_instr_bias_base),
        .instr_out_base          (compute_instr_out_base),
        .act_rd_en               (act_rd_en),
        .act_rd_addr             (act_rd_addr),
        .wgt_rd_en               (wgt_rd_en),
        .wgt_rd_addr             (wgt_rd_addr),
        .array_swap              (array_swap),
        .array_load              (array_load),
        .token_valid             (pixel_valid),
        .token_data              (pixel_token),
        .busy                    (sequencer_busy),
        .range_error             (compute_range_error),
        .gemm_start              (gemm_start)
    );

    fitact_array #(
        .ROWS   (ROWS),
        .COLS   (COLS),
        .DATA_W (DATA_W),
        .ACC_W  (ACC_W)
    ) u_array (
        .clk       (clk),
        .act_in    (act_rd_data),
        .weight_in (wgt_rd_data),
        .swap_in   (array_swap),
        .load_in   (array_load),
        .psum_out  (psum)
    );

    fitact_delay #(
        .WIDTH (TOKEN_W),
        .DELAY (TOKEN_DELAY)
    ) u_delay (
        .clk       (clk),
        .rst_n     (rst_n),
        .clear     (clear),
        .in_valid  (pixel_valid),
        .in_data   (pixel_token),
        .out_valid (lane_valid),
        .out_data  (lane_token),
        .busy      (delay_busy)
    );

    wire                   acc_rd_en;
    wire [ACC_ADDR_W-1:0]  acc_rd_addr;
    wire [COLS*ACC_W-1:0]  acc_rd_data;
    wire                   acc_wr_en;
    wire [ACC_ADDR_W-1:0]  acc_wr_addr;
    wire [COLS*ACC_W-1:0]  acc_wr_data;
    wire                   out_wr_en;
    wire [OUT_ADDR_W-1:0]  out_wr_addr;
    wire [COLS*DATA_W-1:0] out_wr_data;  // clamped results of a pixel

    fitact_lanes #(
        .COLS         (COLS),
        .DATA_W       (DATA_W),
        .ACC_W        (ACC_W),
        .SHIFT_W      (SHIFT_W),
        .BIAS_LANE_W  (BIAS_LANE_W),
        .ACC_ADDR_W   (ACC_ADDR_W),
        .BIAS_ADDR_W  (BIAS_ADDR_W),
        .OUT_ADDR_W   (OUT_ADDR_W),
        .BOUND_ADDR_W (BOUND_ENTRY_W),
        .TOKEN_W      (TOKEN_W)
    ) u_lanes (
        .clk           (clk),
        .rst_n         (rst_n),
        .clear         (clear),
        .token_valid   (lane_valid),
        .token_data    (lane_token),
        .psum          (psum),
        .acc_rd_en     (acc_rd_en),
        .acc_rd_addr   (acc_rd_addr),
        .acc_rd_data   (acc_rd_data),
        .acc_wr_en     (acc_wr_en),
        .acc_wr_addr   (acc_wr_addr),
        .acc_wr_data   (acc_wr_data),
        .bias_rd_en    (bias_rd_en),
        .bias_rd_addr  (bias_rd_addr),
        .bias_rd_data  (bias_rd_data),
        .bound_rd_en   (bound_rd_en),
        .bound_rd_addr (bound_rd_addr),
        .bound_rd_data (bound_rd_data),
        .out_wr_en     (out_wr_en),
        .out_wr_addr   (out_wr_addr),
        .out_wr_data   (out_wr_data),
        .retire        (compute_retire),
        .push_prev     (compute_push_prev),
        .push_next     (compute_push_next),
        .busy          (lanes_busy)
    );

    assign compute_busy = sequencer_busy || delay_busy || lanes_busy;

    // Store unit: the only master of the write channels.
    wire                   store_rd_en;
    wire [15:0]            store_rd_addr;
    wire [COLS*DATA_W-1:0] store_rd_data;
    wire                   store_start;
    wire                   store_retire;

    fitact_store #(
        .BUS_BITS       (BUS_BITS),
        .WORD_BYTES     (WORD_BYTES),
        .LANE_WORD_BITS (COLS * DATA_W),
        .OUTPUT_WORDS   (OUT_DEPTH)
    ) u_store (
        .clk                (clk),
        .rst_n              (rst_n),
        .clear              (clear),
        .halt               (halt),
        .window_base        (window_base),
        .window_last        (window_last),
        .instr_valid        (store_instr_valid),
        .instr_ready        (store_instr_ready),
        .instr_push_prev    (store_instr_push_prev),
        .instr_buffer_base  (store_instr_buffer_base),
        .instr_mem_addr     (store_instr_mem_addr),
        .instr_cols         (store_instr_cols),
        .instr_rows         (store_instr_rows),
        .instr_planes       (store_instr_planes),
        .instr_row_stride   (store_instr_row_stride),
        .instr_plane_stride (store_instr_plane_stride),
        .rd_en              (store_rd_en),
        .rd_addr            (store_rd_addr),
        .rd_data            (store_rd_data),
        .awvalid            (m_axi_awvalid),
        .awready            (m_axi_awready),
        .awaddr             (m_axi_awaddr),
        .awlen              (m_axi_awlen),
        .awsize             (m_axi_awsize),
        .awburst            (m_axi_awburst),
        .wvalid             (m_axi_wvalid),
        .wready             (m_axi_wready),
        .wdata              (m_axi_wdata),
        .wstrb              (m_axi_wstrb),
        .wlast              (m_axi_wlast),
        .bvalid             (m_axi_bvalid),
        .bready             (m_axi_bready),
        .bresp              (m_axi_bresp),
        .store_start        (store_start),
        .retire             (store_retire),
        .push_prev          (store_push_prev),
        .address_error      (store_address_error),
        .bus_error          (store_bus_error),
        .range_error        (store_range_error),
        .busy               (store_busy)
    );

    assign m_axi_awid = 1'b0;

    // Buffers.
    fitact_buffers #(
        .ROWS         (ROWS),
        .COLS         (COLS),
        .DATA_W       (DATA_W),
        .ACC_W        (ACC_W),
        .BIAS_LANE_W  (BIAS_LANE_W),
        .BIAS_SLOT    (BIAS_SLOT),
        .LOAD_DATA_W  (LOAD_DATA_W),
        .ACT_DEPTH    (ACT_DEPTH),
        .ACT_ADDR_W   (ACT_ADDR_W),
        .WGT_DEPTH    (WGT_DEPTH),
        .WGT_ADDR_W   (WGT_ADDR_W),
        .BIAS_DEPTH   (BIAS_DEPTH),
        .BIAS_ADDR_W  (BIAS_ADDR_W),
        .BOUND_DEPTH  (BOUND_DEPTH),
        .BOUND_ADDR_W (BOUND_ADDR_W),
        .ACC_DEPTH    (ACC_DEPTH),
        .ACC_ADDR_W   (ACC_ADDR_W),
        .OUT_DEPTH    (OUT_DEPTH),
        .OUT_ADDR_W   (OUT_ADDR_W)
    ) u_buffers (
        .clk           (clk),
        .load_wr_en    (load_wr_en),
        .load_wr_addr  (load_wr_addr),
        .load_wr_data  (load_wr_data),
        .act_rd_en     (act_rd_en),
        .act_rd_addr   (act_rd_addr),
        .act_rd_data   (act_rd_data),
        .wgt_rd_en     (wgt_rd_en),
        .wgt_rd_addr   (wgt_rd_addr),
        .wgt_rd_data   (wgt_rd_data),
        .bias_rd_en    (bias_rd_en),
        .bias_rd_addr  (bias_rd_addr),
        .bias_rd_data  (bias_rd_data),
        .bound_rd_en   (bound_rd_en),
        .bound_rd_addr (bound_rd_addr),
        .bound_rd_data (bound_rd_data),
        .acc_rd_en     (acc_rd_en),
        .acc_rd_addr   (acc_rd_addr),
        .acc_rd_data   (acc_rd_data),
        .acc_wr_en     (acc_wr_en),
        .acc_wr_addr   (acc_wr_addr),
        .acc_wr_data   (acc_wr_data),
        .out_wr_en     (out_wr_en),
        .out_wr_addr   (out_wr_addr),
        .out_wr_data   (out_wr_data),
        .store_rd_en   (store_rd_en),
        .store_rd_addr (store_rd_addr),
        .store_rd_data (store_rd_data)
    );

    // Measurement.
    assign trace_load_start  = load_start;
    assign trace_load_done   = load_retire;
    assign trace_store_start = store_start;
    assign trace_store_done  = store_retire;
    assign trace_gemm_start  = gemm_start;
    assign trace_gemm_done   = compute_retire;

    // There is one write master, so every response is its own; `running` is for waveforms.
    wire unused = &{1'b0, m_axi_bid, running};

endmodule

`default_nettype wire
