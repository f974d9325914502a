// Between the launch, which has an array of pointers to arguments, and a kernel, which has parameters.
#pragma once

template <class T> struct cusim_plain { typedef T type; };
template <class T> struct cusim_plain<const T> { typedef T type; };
template <class T> struct cusim_plain<T&> : cusim_plain<T> {};

template <int... I> struct cusim_numbers {};
#if defined(__clang__)
template <class, int... I> using cusim_numbers_of = cusim_numbers<I...>;
template <int N> using cusim_up_to = __make_integer_seq<cusim_numbers_of, int, N>;
#else
template <int N> using cusim_up_to = cusim_numbers<__integer_pack(N)...>;
#endif

template <class... T, int... I> CUSIM_MODEL inline void cusim_call(void (*kernel)(T...), void** arguments, cusim_numbers<I...>) {
    kernel(*(typename cusim_plain<T>::type*)arguments[I]...);
}

template <class... T> CUSIM_MODEL inline void cusim_unpack(void (*kernel)(T...), void** arguments) {
    cusim_call(kernel, arguments, cusim_up_to<sizeof...(T)>{});
}

// Size of each parameter, then -1: a struct passed by value must have the right one.
template <class... T> inline const int* cusim_sizes(void (*)(T...)) {
    static const int sizes[] = {(int)sizeof(typename cusim_plain<T>::type)..., -1};
    return sizes;
}

#define CUSIM_EXPORT(NAME) \
    extern "C" CUSIM_MODEL __attribute__((visibility("default"))) void cusim_run_##NAME(void** arguments) { \
        cusim_unpack(&NAME, arguments); \
    } \
    extern "C" __attribute__((visibility("default"))) const int* cusim_sizes_of_##NAME() { return cusim_sizes(&NAME); }
