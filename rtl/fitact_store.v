// Strided DMA from the output buffer to memory.
//
// fitact_bursts announces bursts of whole words (AW); the data side takes them from its queue and reads the output
// buffer one word ahead. One instruction at a time: it retires when every write response has come back. After
// an error or on halt nothing new is announced, and bursts already announced are completed with all strobes
// off, so that they change no memory.
`default_nettype none

module fitact_store #(
    parameter BUS_BITS        = 128,
    parameter LANE_WORD_BITS  = 128,           // output buffer word
    parameter WORD_BYTES      = 16,            // the same word in memory, a power of two
    parameter OUTPUT_WORDS    = 1024,          // depth of the output buffer
    parameter MAX_OUTSTANDING = 8              // write bursts
) (
    input  wire                      clk,
    input  wire                      rst_n,
    input  wire                      clear,
    input  wire                      halt,
    input  wire [31:0]               window_base,
    input  wire [31:0]               window_last,

    input  wire                      instr_valid,
    output wire                      instr_ready,
    input  wire                      instr_push_prev,
    input  wire [15:0]               instr_buffer_base,
    input  wire [31:0]               instr_mem_addr,
    input  wire [15:0]               instr_cols,
    input  wire [15:0]               instr_rows,
    input  wire [15:0]               instr_planes,
    input  wire [31:0]               instr_row_stride,
    input  wire [31:0]               instr_plane_stride,

    output wire                      rd_en,
    output wire [15:0]               rd_addr,
    input  wire [LANE_WORD_BITS-1:0] rd_data,  // one cycle after rd_en, held

    output wire                      awvalid,
    input  wire                      awready,
    output wire [31:0]               awaddr,
    output wire [7:0]                awlen,
    output wire [2:0]                awsize,
    output wire [1:0]                awburst,
    output wire                      wvalid,
    input  wire                      wready,
    output wire [BUS_BITS-1:0]       wdata,
    output wire [BUS_BITS/8-1:0]     wstrb,
    output wire                      wlast,
    input  wire                      bvalid,
    output wire                      bready,
    input  wire [1:0]                bresp,

    output wire                      store_start,   // pulse: an instruction was accepted
    output wire                      retire,        // pulse: its last response has come back
    output wire                      push_prev,     // pulse, with retire
    output wire                      address_error, // pulse
    output wire                      bus_error,     // pulse
    output wire                      range_error,   // pulse
    output wire                      busy
);
    localparam BUS_BYTES = BUS_BITS / 8;
    localparam BUS_LOG = $clog2(BUS_BYTES);
    localparam WORD_BITS = 8 * WORD_BYTES;
    // A beat carries a whole word if the word is narrower than the bus.
    localparam BEATS = (WORD_BYTES > BUS_BYTES) ? WORD_BYTES / BUS_BYTES : 1;
    localparam BEAT_W = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam [31:0] LAST_BEAT = BEATS - 1;
    localparam [31:0] STEP = WORD_BYTES;
    localparam [31:0] DEPTH = OUTPUT_WORDS;

    reg fault_q;                        // an error of this unit: nothing more until clear
    reg active_q;                       // an instruction has not retired
    reg push_q;
    wire stop = halt | fault_q;
    wire accept = instr_valid & instr_ready;

    // ---------------------------------------------------------------- address side
    wire walk_ready;
    wire walking;
    wire outstanding;
    wire bad_address;
    wire burst_valid;
    wire burst_ready;
    wire [7:0] burst_words;
    wire [5:0] burst_low;

    fitact_bursts #(
        .BUS_BITS(BUS_BITS),
        .WORD_BYTES(WORD_BYTES),
        .WIDE_WORD_BYTES(WORD_BYTES),
        .MAX_OUTSTANDING(MAX_OUTSTANDING)
    ) u_bursts (
        .clk(clk),
        .rst_n(rst_n),
        .clear(clear),
        .stop(stop),
        .window_base(window_base),
        .window_last(window_last),
        .start_valid(accept),
        .start_ready(walk_ready),
        .wide(1'b0),
        .mem_addr(instr_mem_addr),
        .cols(instr_cols),
        .rows(instr_rows),
        .planes(instr_planes),
        .row_stride(instr_row_stride),
        .plane_stride(instr_plane_stride),
        .request_valid(awvalid),
        .request_ready(awready),
        .request_addr(awaddr),
        .request_len(awlen),
        .request_size(awsize),
        .response(bvalid),
        .burst_valid(burst_valid),
        .burst_ready(burst_ready),
        .burst_words(burst_words),
        .burst_low(burst_low),
        .walking(walking),
        .outstanding(outstanding),
        .address_error(bad_address)
    );
    assign instr_ready = ~active_q & walk_ready & ~stop;
    assign awburst = 2'b01;
    assign bready = 1'b1;

    // ---------------------------------------------------------------- read one word ahead
    reg [16:0] read_addr_q;
    reg [7:0] word_q;                   // word of the burst that is read next
    reg [5:0] low_q;                    // its low address, from the second word on
    reg held_q;                         // rd_data holds a word
    reg held_last_q;                    // ... the last of its burst
    reg [5:0] held_low_q;
    reg [BEAT_W-1:0] beat_q;            // next beat of that word
    reg wvalid_q;
    reg wlast_q;
    reg [BUS_BITS-1:0] wdata_q;
    reg [BUS_BYTES-1:0] wstrb_q;

    wire last_beat = beat_q == LAST_BEAT[BEAT_W-1:0];
    wire send = held_q & (~wvalid_q | wready);
    wire read = burst_valid & (~held_q | (send & last_beat));
    wire in_range = read_addr_q < DEPTH[16:0];
    wire last_word = word_q == burst_words;
    wire [5:0] low = (word_q == 8'd0) ? burst_low : low_q;

    assign burst_ready = read & last_word;
    assign rd_en = read & in_range & ~stop;
    assign rd_addr = read_addr_q[15:0];

    // The word as it lies in memory, and its lanes of this beat.
    wire [WORD_BITS-1:0] word;
    wire [BUS_BITS-1:0] beat_data;
    wire [BUS_BYTES-1:0] beat_strobes;
    generate
        if (WORD_BITS > LANE_WORD_BITS) begin : g_pad
            assign word = {{(WORD_BITS - LANE_WORD_BITS){1'b0}}, rd_data};
        end else begin : g_no_pad
            assign word = rd_data;
        end
    endgenerate
    generate
        if (BEATS > 1) begin : g_wide
            assign beat_data = word[{beat_q, {(BUS_LOG + 3){1'b0}}} +: BUS_BITS];
            assign beat_strobes = {BUS_BYTES{1'b1}};
        end else if (WORD_BYTES == BUS_BYTES) begin : g_equal
            assign beat_data = word;
            assign beat_strobes = {BUS_BYTES{1'b1}};
        end else begin : g_narrow
            // On every lane; the strobes select one.
            assign beat_data = {(BUS_BYTES / WORD_BYTES){word}};
            assign beat_strobes = {{(BUS_BYTES - WORD_BYTES){1'b0}}, {WORD_BYTES{1'b1}}}
                                  << held_low_q[BUS_LOG-1:0];
        end
    endgenerate

    always @(posedge clk) begin
        if (accept) push_q <= instr_push_prev;
        if (accept) read_addr_q <= {1'b0, instr_buffer_base};
        else if (read) read_addr_q <= read_addr_q + 17'd1;
        if (read) begin
            low_q <= low + STEP[5:0];
            held_low_q <= low;
            held_last_q <= last_word;
        end
        if (send) begin
            wdata_q <= beat_data;
            wstrb_q <= stop ? {BUS_BYTES{1'b0}} : beat_strobes;
            wlast_q <= held_last_q & last_beat;
        end
    end

    assign wvalid = wvalid_q;
    assign wdata = wdata_q;
    assign wstrb = wstrb_q;
    assign wlast = wlast_q;

    // ---------------------------------------------------------------- control
    reg address_error_q;
    reg bus_error_q;
    reg range_error_q;

    wire finished = active_q & ~walking & ~outstanding & ~stop;
    wire bad_response = bvalid & (bresp != 2'b00) & ~stop;
    wire bad_range = read & ~in_range & ~stop;

    assign store_start = accept;
    assign retire = finished;
    assign push_prev = finished & push_q;
    assign address_error = address_error_q;
    assign bus_error = bus_error_q;
    assign range_error = range_error_q;
    assign busy = active_q | walking | outstanding;

    always @(posedge clk) begin
        if (!rst_n || clear) begin
            fault_q <= 1'b0;
            active_q <= 1'b0;
            word_q <= 8'd0;
            held_q <= 1'b0;
            beat_q <= {BEAT_W{1'b0}};
            wvalid_q <= 1'b0;
            address_error_q <= 1'b0;
            bus_error_q <= 1'b0;
            range_error_q <= 1'b0;
        end else begin
            address_error_q <= bad_address;
            bus_error_q <= bad_response;
            range_error_q <= bad_range;
            if (bad_address || bad_response || bad_range) fault_q <= 1'b1;

            if (accept) active_q <= 1'b1;
            else if (stop || finished) active_q <= 1'b0;
            if (read) word_q <= last_word ? 8'd0 : word_q + 8'd1;

            if (read) held_q <= 1'b1;
            else if (send && last_beat) held_q <= 1'b0;
            if (send) beat_q <= last_beat ? {BEAT_W{1'b0}} : beat_q + 1'b1;
            if (send) wvalid_q <= 1'b1;
            else if (wready) wvalid_q <= 1'b0;
        end
    end

    // Bits that carry nothing for some sizes.
    wire unused = &{1'b0, held_low_q};
endmodule

`default_nettype wire
